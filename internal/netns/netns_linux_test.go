package netns_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/netns"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestNamespace listens in a namespace and reaches it from there alone.
func TestNamespace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: network namespaces")
	}
	n, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	var ln net.Listener
	err = n.Do(func() (err error) {
		ln, err = net.Listen("tcp4", "127.0.0.1:81")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if c, err := net.Dial("tcp4", "127.0.0.1:81"); err == nil {
		c.Close()
		t.Error("reached from outside")
	}
	go func() {
		c, err := ln.Accept()
		if err == nil {
			_, _ = io.WriteString(c, "inside")
			c.Close()
		}
	}()
	var c net.Conn
	if err := n.Do(func() (err error) { c, err = net.Dial("tcp4", "127.0.0.1:81"); return err }); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if b, err := io.ReadAll(c); err != nil || string(b) != "inside" {
		t.Errorf("%q, %v", b, err)
	}
	var out net.Conn
	if err := n.Do(func() (err error) { out, err = net.Dial("udp4", "192.0.2.1:53"); return err }); err == nil {
		out.Close()
		t.Error("there is a way out")
	}
	own, err := netns.Own()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if own.Same(n) || !n.Same(n) {
		t.Error("Same is wrong")
	}
	if err := n.Do(func() error { return errors.New("mine") }); err == nil || err.Error() != "mine" {
		t.Errorf("the error of what ran: %v", err)
	}
}

// TestRedirect connects to an address that nobody has and arrives, with the address
// still known; loopback stays what it is.
func TestRedirect(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: network namespaces")
	}
	n, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	var ln net.Listener
	if err := n.Do(func() (err error) { ln, err = net.Listen("tcp4", "0.0.0.0:0"); return err }); err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	number, _ := strconv.Atoi(port)
	if err := n.Redirect(uint16(number)); err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		to, err := netns.OriginalDestination(c.(*net.TCPConn))
		got <- to.String()
		_, _ = io.WriteString(c, "through")
		if err != nil {
			t.Error(err)
		}
	}()
	var c net.Conn
	if err := n.Do(func() (err error) { c, err = net.Dial("tcp4", "192.0.2.7:4444"); return err }); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if b, err := io.ReadAll(c); err != nil || string(b) != "through" {
		t.Errorf("%q, %v", b, err)
	}
	if to := <-got; to != "192.0.2.7:4444" {
		t.Errorf("it was to go to %s", to)
	}
	if err := n.Do(func() error {
		c, err := net.Dial("tcp4", "127.0.0.1:4444")
		if err == nil {
			c.Close()
		}
		return err
	}); err == nil {
		t.Error("loopback is redirected too")
	}
}

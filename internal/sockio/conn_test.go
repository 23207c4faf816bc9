package sockio_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/sockio"
)

// pairs are two ends of a connection, of each kind that the platform uses.
func pairs(t *testing.T) map[string][2]net.Conn {
	t.Helper()
	out := map[string][2]net.Conn{}
	for _, network := range []string{"tcp", "unix"} {
		addr := "127.0.0.1:0"
		if network == "unix" {
			addr = filepath.Join(t.TempDir(), "s")
		}
		ln, err := net.Listen(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		a, err := net.Dial(network, ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		b, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
		out[network] = [2]net.Conn{a, b}
	}
	a, b := net.Pipe()
	out["pipe"] = [2]net.Conn{a, b}
	for _, p := range out {
		t.Cleanup(func() { p[0].Close(); p[1].Close() })
		deadline := time.Now().Add(10 * time.Second)
		p[0].SetDeadline(deadline)
		p[1].SetDeadline(deadline)
	}
	return out
}

func random(t *testing.T, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestWrites sends more than any socket buffer holds to a reader that begins
// late: every way of writing has to wait and go on where it was.
func TestWrites(t *testing.T) {
	head, body := random(t, 300), random(t, 8<<20)
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, append(random(t, 100), body...), 0o600); err != nil {
		t.Fatal(err)
	}
	ways := map[string]func(c *sockio.Conn) error{
		"Write": func(c *sockio.Conn) error {
			n, err := c.Write(append(bytes.Clone(head), body...))
			if err == nil && n != len(head)+len(body) {
				t.Errorf("Write said %d", n)
			}
			return err
		},
		"Write2": func(c *sockio.Conn) error {
			n, err := c.Write2(head, body)
			if err == nil && n != len(head)+len(body) {
				t.Errorf("Write2 said %d", n)
			}
			return err
		},
		"Write2 with an empty first part": func(c *sockio.Conn) error {
			_, err := c.Write2(nil, append(bytes.Clone(head), body...))
			return err
		},
		"SendFile": func(c *sockio.Conn) error {
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			defer f.Close()
			progress := 0
			err = c.SendFile(head, f, 100, int64(len(body)), func() { progress++ })
			if progress == 0 {
				t.Error("no progress was told")
			}
			return err
		},
	}
	for way, write := range ways {
		for kind, p := range pairs(t) {
			t.Run(way+" "+kind, func(t *testing.T) {
				errs := make(chan error, 1)
				go func() {
					errs <- write(sockio.Wrap(p[0]))
					p[0].Close()
				}()
				time.Sleep(20 * time.Millisecond)
				got, err := io.ReadAll(sockio.Wrap(p[1]))
				if err != nil || !bytes.Equal(got, append(bytes.Clone(head), body...)) {
					t.Errorf("%d bytes came, %v", len(got), err)
				}
				if err := <-errs; err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestShortFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	for kind, p := range pairs(t) {
		t.Run(kind, func(t *testing.T) {
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			go io.Copy(io.Discard, p[1])
			if err := sockio.Wrap(p[0]).SendFile([]byte("head"), f, 0, 6, func() {}); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("error = %v", err)
			}
		})
	}
}

// TestDeadlinesAndClose holds that the calls can be interrupted, as those of
// package net can.
func TestDeadlinesAndClose(t *testing.T) {
	for kind, p := range pairs(t) {
		t.Run(kind, func(t *testing.T) {
			c := sockio.Wrap(p[0])
			c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read after its deadline: %v", err)
			}
			c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
			if _, err := c.Write(make([]byte, 16<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("write after its deadline: %v", err)
			}
			c.SetDeadline(time.Time{})
			errs := make(chan error, 1)
			go func() {
				_, err := c.Read(make([]byte, 1))
				errs <- err
			}()
			time.Sleep(10 * time.Millisecond)
			c.Close()
			if err := <-errs; err == nil {
				t.Error("a read went on after Close")
			}
		})
	}
}

func TestEndOfStream(t *testing.T) {
	for kind, p := range pairs(t) {
		t.Run(kind, func(t *testing.T) {
			go func() {
				p[1].Write([]byte("last"))
				p[1].Close()
			}()
			got, err := io.ReadAll(sockio.Wrap(p[0]))
			if string(got) != "last" || err != nil {
				t.Errorf("read %q, %v", got, err)
			}
		})
	}
}

func TestNothingIsAllocated(t *testing.T) {
	p := pairs(t)["tcp"]
	a, b := sockio.Wrap(p[0]), sockio.Wrap(p[1])
	out, in := []byte("message"), make([]byte, 64)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := a.Write2(out, out); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Read(in); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations for a write and a read", n)
	}
}

package workerd_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestIdleTimeoutIsBelowWorkerds holds that the pool, which drops its idle
// connections after five seconds, is first: the runtime closes its end after 15
// (measured).
func TestIdleTimeoutIsBelowWorkerds(t *testing.T) {
	t.Parallel()
	p := start(t, esm(hello), nil)
	c, err := p.Upstream().Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(c.Reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	begin := time.Now()
	if err := c.SetReadDeadline(begin.Add(5500 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if _, err := c.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("the runtime closed after %s, too early for the pool: %v", time.Since(begin), err)
	}
}

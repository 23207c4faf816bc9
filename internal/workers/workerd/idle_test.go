package workerd_test

import (
	"bufio"
	"io"
	"net/http"
	"testing"
	"time"
)

// TestIdleTimeoutIsBelowWorkerds measures after how long the runtime closes an
// idle connection: the pool, which drops its own after three seconds, must always
// be first.
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
	res, err := http.ReadResponse(bufio.NewReader(c.Reader), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	begin := time.Now()
	if err := c.SetReadDeadline(begin.Add(8 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err = c.Read(make([]byte, 1))
	after := time.Since(begin)
	t.Logf("the runtime closed after %s (%v)", after.Round(time.Millisecond), err)
	if after < 3500*time.Millisecond {
		t.Errorf("too early for the pool: %s", after)
	}
}

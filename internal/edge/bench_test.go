package edge_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"testing"

	"github.com/selvage-dev/selvage/internal/edge"
	"github.com/selvage-dev/selvage/internal/telemetry"
)

// BenchmarkHello is one request after the other on one connection, with the access
// log written and metrics counted. The worker and the client, which are part of the time,
// do next to nothing. Allocs/op is the edge's.
func BenchmarkHello(b *testing.B) {
	w := &worker{socket: b.TempDir() + "/w.sock"}
	rawWorker(b, w.socket, func(_ int, c net.Conn, head string) {
		answer := []byte(okResponse)
		buf := make([]byte, 4096)
		for head != "" {
			if _, err := c.Write(answer); err != nil {
				return
			}
			if _, err := c.Read(buf); err != nil { // a head comes in one piece
				return
			}
		}
	})
	logs, err := telemetry.OpenLogs(b.TempDir(), telemetry.LogOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer logs.Close()
	p := startWith(b, w, func(o *edge.Options, _ *worker) { o.Logs = logs })
	c := p.dial()
	request := []byte("GET / HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		n, err := c.Read(buf) // an answer comes in one piece, and the test fails if not
		if err != nil || !bytes.HasSuffix(buf[:n], []byte("\r\n\r\nhello")) {
			b.Fatalf("%q, %v", buf[:n], err)
		}
	}
}

// BenchmarkDownload is a body of 1 MiB from the worker.
func BenchmarkDownload(b *testing.B) {
	const size = 1 << 20
	w := &worker{socket: b.TempDir() + "/w.sock"}
	rawWorker(b, w.socket, func(_ int, c net.Conn, head string) {
		answer := append([]byte("HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n"), make([]byte, size)...)
		buf := make([]byte, 4096)
		for head != "" {
			if _, err := c.Write(answer); err != nil {
				return
			}
			if _, err := c.Read(buf); err != nil {
				return
			}
		}
	})
	p := startWith(b, w)
	c := p.dial()
	br := bufio.NewReaderSize(c, 64<<10)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		c.send("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
		for line := ""; line != "\r\n"; {
			var err error
			if line, err = br.ReadString('\n'); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := io.CopyN(io.Discard, br, size); err != nil {
			b.Fatal(err)
		}
	}
}

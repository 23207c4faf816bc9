package websock_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/websock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const handshake = "GET /t HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: other, trace-v1\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"

// end is a client's end of a WebSocket.
type end struct {
	net.Conn
	br       *bufio.Reader
	conn     *websock.Conn
	messages chan string
	served   chan error
}

// dial opens a WebSocket to a server of the test.
func dial(tb testing.TB) *end {
	tb.Helper()
	e := &end{messages: make(chan string, 16), served: make(chan error, 1)}
	made := make(chan *websock.Conn, 1)
	ctx, cancel := context.WithCancel(context.Background())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websock.Accept(w, r, "trace-v1")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		made <- c
		e.served <- c.Serve(ctx, func(text []byte) { e.messages <- string(text) })
	}))
	nc, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	e.Conn, e.br = nc, bufio.NewReader(nc)
	tb.Cleanup(func() { cancel(); _ = nc.Close(); srv.Close() })
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(nc, handshake); err != nil {
		tb.Fatal(err)
	}
	resp, err := http.ReadResponse(e.br, nil)
	if err != nil {
		tb.Fatal(err)
	}
	h := resp.Header
	// The key and its answer are those of RFC 6455, section 1.3.
	if resp.StatusCode != http.StatusSwitchingProtocols || h.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" || h.Get("Sec-WebSocket-Protocol") != "trace-v1" || h.Get("Sec-WebSocket-Extensions") != "" {
		tb.Fatalf("%d %v", resp.StatusCode, h)
	}
	e.conn = <-made
	return e
}

// frame makes a frame.
func frame(first byte, payload string, masked bool) []byte { //nolint:revive // a bit of the frame
	b := []byte{first}
	bit := byte(0)
	if masked {
		bit = 0x80
	}
	switch n := len(payload); {
	case n < 126:
		b = append(b, bit|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, bit|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, bit|127), uint64(n))
	}
	if !masked {
		return append(b, payload...)
	}
	mask := [4]byte{1, 2, 3, 0xfe}
	b = append(b, mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i&3])
	}
	return b
}

// read returns the next frame of the server.
func (e *end) read(tb testing.TB) (first byte, payload string) {
	tb.Helper()
	var head [2]byte
	if _, err := io.ReadFull(e.br, head[:]); err != nil {
		tb.Fatal(err)
	}
	n := int(head[1])
	switch n {
	case 126:
		var l [2]byte
		_, _ = io.ReadFull(e.br, l[:])
		n = int(binary.BigEndian.Uint16(l[:]))
	case 127:
		var l [8]byte
		_, _ = io.ReadFull(e.br, l[:])
		n = int(binary.BigEndian.Uint64(l[:]))
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(e.br, b); err != nil {
		tb.Fatal(err)
	}
	return head[0], string(b)
}

func (e *end) write(tb testing.TB, frames ...[]byte) {
	tb.Helper()
	if _, err := e.Write(bytes.Join(frames, nil)); err != nil {
		tb.Fatal(err)
	}
}

func TestWranglersWay(t *testing.T) {
	t.Parallel()
	e := dial(t)
	e.write(t, frame(0x81, `{"debug":false}`, false)) // without a mask
	if got := <-e.messages; got != `{"debug":false}` {
		t.Errorf("message %q", got)
	}
	e.write(t, frame(0x89, "wrangler tail ping", true))
	if first, payload := e.read(t); first != 0x8a || payload != "wrangler tail ping" {
		t.Errorf("pong %#x %q", first, payload)
	}
	for _, n := range []int{0, 125, 126, 65535, 65536, 300_000} {
		text := strings.Repeat("x", n)
		done := make(chan error, 1)
		go func() { done <- e.conn.Write([]byte(text)) }()
		if first, payload := e.read(t); first != 0x81 || payload != text {
			t.Errorf("text of %d bytes: %#x and %d bytes", n, first, len(payload))
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	e.write(t, frame(0x88, "\x03\xe8bye", true))
	if first, payload := e.read(t); first != 0x88 || payload != "\x03\xe8" {
		t.Errorf("close %#x %q", first, payload)
	}
	if err := <-e.served; err != nil {
		t.Errorf("served: %v", err)
	}
	if err := e.conn.Write([]byte("late")); !errors.Is(err, websock.ErrClosed) {
		t.Errorf("a write after the end: %v", err)
	}
}

func TestFragments(t *testing.T) {
	t.Parallel()
	e := dial(t)
	e.write(t, frame(0x01, "a", true), frame(0x89, "p", true), frame(0x00, "ü"[:1], true), frame(0x80, "ü"[1:], true))
	if got := <-e.messages; got != "aü" {
		t.Errorf("message %q", got)
	}
	if first, payload := e.read(t); first != 0x8a || payload != "p" {
		t.Errorf("pong %#x %q", first, payload)
	}
}

func TestBreaches(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		frames [][]byte
		code   uint16
	}{
		"second frame without mask":    {[][]byte{frame(0x81, "a", false), frame(0x81, "b", false)}, 1002},
		"ping without mask":            {[][]byte{frame(0x89, "a", false)}, 1002},
		"reserved bit":                 {[][]byte{frame(0xc1, "a", true)}, 1002},
		"opcode":                       {[][]byte{frame(0x83, "a", true)}, 1002},
		"control opcode":               {[][]byte{frame(0x8b, "a", true)}, 1002},
		"long ping":                    {[][]byte{frame(0x89, strings.Repeat("x", 126), true)}, 1002},
		"fragmented ping":              {[][]byte{frame(0x09, "x", true)}, 1002},
		"continuation of nothing":      {[][]byte{frame(0x80, "x", true)}, 1002},
		"message within a message":     {[][]byte{frame(0x01, "x", true), frame(0x81, "y", true)}, 1002},
		"long form of a short length":  {[][]byte{{0x81, 0xfe, 0, 5}}, 1002},
		"longest form of a length":     {[][]byte{{0x81, 0xff, 0, 0, 0, 0, 0, 0, 1, 0}}, 1002},
		"negative length":              {[][]byte{{0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0}}, 1002},
		"gigantic":                     {[][]byte{{0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4}}, 1009},
		"large":                        {[][]byte{frame(0x81, strings.Repeat("x", 64<<10+1), true)}, 1009},
		"large in parts":               {[][]byte{frame(0x01, strings.Repeat("x", 40<<10), true), frame(0x80, strings.Repeat("x", 40<<10), true)}, 1009},
		"no UTF-8":                     {[][]byte{frame(0x81, "\xff", true)}, 1007},
		"close with one byte":          {[][]byte{frame(0x88, "\x03", true)}, 1002},
		"close with a code of nobody":  {[][]byte{frame(0x88, "\x03\xed", true)}, 1002},
		"close with text and no UTF-8": {[][]byte{frame(0x88, "\x03\xe8\xff", true)}, 1002},
		"empty fragments without end":  {slices.Concat([][]byte{frame(0x01, "", true)}, slices.Repeat([][]byte{frame(0x00, "", true)}, 1024)), 1009},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := dial(t)
			e.write(t, c.frames...)
			first, payload := e.read(t)
			if first != 0x88 || len(payload) < 2 || binary.BigEndian.Uint16([]byte(payload)) != c.code || len(payload) > 125 {
				t.Errorf("answer %#x %q, want a close frame with %d", first, payload, c.code)
			}
			var fault *websock.ProtocolError
			if err := <-e.served; !errors.As(err, &fault) || fault.Code != int(c.code) {
				t.Errorf("served: %v", err)
			}
		})
	}
}

func TestHandshakes(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := websock.Accept(w, r, "trace-v1")
		var bad *websock.HandshakeError
		if !errors.As(err, &bad) {
			t.Errorf("%v", err)
			return
		}
		http.Error(w, bad.Text, http.StatusBadRequest)
	}))
	t.Cleanup(srv.Close)
	for _, c := range [][2]string{
		{"Upgrade: WebSocket\r\n", ""},
		{"Connection: keep-alive, Upgrade\r\n", "Connection: close\r\n"},
		{"Version: 13", "Version: 8"},
		{"dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ=="},
		{"dGhlIHNhbXBsZSBub25jZQ==", "?"},
		{"trace-v1", "trace-v2"},
		{"GET", "POST"},
	} {
		nc, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(nc, strings.Replace(handshake, c[0], c[1], 1))
		resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil || resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%q as %q: %v %v", c[0], c[1], resp, err)
		}
		_ = nc.Close()
	}
}

func TestServerCloses(t *testing.T) {
	t.Parallel()
	e := dial(t)
	e.conn.Close(websock.CloseNormal, "over")
	if first, payload := e.read(t); first != 0x88 || payload != "\x03\xe8over" {
		t.Errorf("close %#x %q", first, payload)
	}
	// A client that does not answer is not waited for.
	if err := <-e.served; err == nil {
		t.Error("a client that did not answer ended in good order")
	}
}

// FuzzServe holds that no bytes of a client make the server fail, hang, or keep more
// than one message.
func FuzzServe(f *testing.F) {
	f.Add(frame(0x81, `{"debug":false}`, false))
	f.Add(bytes.Join([][]byte{frame(0x01, "a", true), frame(0x89, "p", true), frame(0x80, "b", true), frame(0x88, "\x03\xe8", true)}, nil))
	f.Add([]byte{0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		ours, theirs := net.Pipe()
		c := websock.NewConn(theirs)
		done := make(chan error, 1)
		go func() {
			done <- c.Serve(context.Background(), func(text []byte) {
				if len(text) > 64<<10 {
					t.Errorf("a message of %d bytes", len(text))
				}
			})
		}()
		go func() { _, _ = io.Copy(io.Discard, ours) }()
		_ = ours.SetWriteDeadline(time.Now().Add(5 * time.Second))
		_, _ = ours.Write(in)
		_ = ours.Close()
		<-done
	})
}

package dockerapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/selvage-dev/selvage/internal/instances"
)

// conversation is one connection of the runtime to a port of an instance. The
// runtime keeps it for many requests, one after the other, so each piece that comes
// is looked at: one that begins as a request waits until the instance may have it, and
// one that begins as an answer says how the request went. Bytes are passed on as they
// are; where nothing of HTTP is seen in the beginning, and after an upgrade, nobody looks.
type conversation struct {
	g   *gateway
	in  *instances.Instance
	raw atomic.Bool
}

const pieceSize = 32 << 10

var pieces = sync.Pool{New: func() any { b := make([]byte, pieceSize); return &b }} //nolint:gochecknoglobals // a pool

// converse passes on both directions until both have ended.
func (g *gateway) converse(ctx context.Context, c net.Conn, ahead *bufio.Reader, inner net.Conn) {
	g.mu.Lock()
	v := &conversation{g: g, in: g.in}
	g.mu.Unlock()
	if v.in == nil {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		head, _ := ahead.Peek(ahead.Buffered()) // it is there
		end(inner, c, v.requests(ctx, inner, c, io.MultiReader(bytes.NewReader(head), c)))
	}()
	end(c, inner, v.answers(c, inner))
	<-done
}

// errRefused says that the instance may have no requests now.
var errRefused = errors.New("the instance takes no requests")

// requests passes on what the runtime sends.
func (v *conversation) requests(ctx context.Context, inner, c net.Conn, from io.Reader) error {
	buf, ok := pieces.Get().(*[]byte)
	if !ok {
		return nil
	}
	defer pieces.Put(buf)
	for first := true; ; first = false {
		n, err := from.Read(*buf)
		if n > 0 {
			piece := (*buf)[:n]
			request := isRequest(piece)
			if first && !request {
				v.raw.Store(true)
			}
			if request || first {
				if err := v.g.admit(ctx); err != nil {
					unavailable(c, err)
					return errRefused
				}
			}
			if _, err := inner.Write(piece); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if v.raw.Load() {
			_, err := io.Copy(inner, c)
			return err
		}
	}
}

// isRequest reports whether a piece begins with a request line of HTTP/1.1.
func isRequest(piece []byte) bool {
	line, _, found := bytes.Cut(piece, []byte("\r\n"))
	return found && bytes.HasSuffix(line, []byte(" HTTP/1.1")) && line[0] >= 'A' && line[0] <= 'Z'
}

// answers passes on what the instance sends.
func (v *conversation) answers(c, inner net.Conn) error {
	buf, ok := pieces.Get().(*[]byte)
	if !ok {
		return nil
	}
	defer pieces.Put(buf)
	for {
		n, err := inner.Read(*buf)
		if n > 0 {
			v.note((*buf)[:n])
			if _, err := c.Write((*buf)[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if v.raw.Load() {
			_, err := io.Copy(c, inner)
			return err
		}
	}
}

// note reads "HTTP/1.1 500". What is no HTTP is none of our business.
func (v *conversation) note(head []byte) {
	const version, status = len("HTTP/1.1 "), len("HTTP/1.1 500")
	if v.raw.Load() || len(head) < status || string(head[:len("HTTP/1.")]) != "HTTP/1." {
		return
	}
	switch {
	case head[version] == '5':
		v.in.Failed()
	case string(head[version:status]) == "101":
		v.raw.Store(true)
		v.in.Succeeded()
	case head[version] != '1': // of which another follows
		v.in.Succeeded()
	}
}

// end passes on that a direction has ended.
func end(to, from net.Conn, err error) {
	half, ok := to.(interface{ CloseWrite() error })
	if err != nil || !ok {
		_ = to.Close() // the other direction ends with it
		_ = from.Close()
		return
	}
	_ = half.CloseWrite() // as above
}

// unavailable answers a request in the container's place.
func unavailable(c net.Conn, why error) {
	text := "The container does not take requests now.\n"
	if own, ok := errors.AsType[*instances.Error](why); ok {
		text = own.Message + "\n"
	}
	_, _ = fmt.Fprintf(c, "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(text), text) // who does not read it is gone
}

package http2

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/edge/http1"
	"github.com/selvage-dev/selvage/internal/edge/wire"
)

// exchange is one stream: a request and its answer.
type exchange struct {
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	limits  http1.Limits
	req     wire.Request

	started, done bool
	noBody        bool
	remain        int64 // of a body of known length; wire.Unknown otherwise
	err           error

	watch watch
}

var errNoTunnel = errors.New("http2: a stream cannot become a tunnel")

// Inform implements [wire.ResponseWriter].
func (x *exchange) Inform(status int, fields []wire.Field) error {
	if x.started || x.err != nil {
		return x.err
	}
	h := x.w.Header()
	x.set(h, fields)
	x.w.WriteHeader(status)
	clear(h)
	return nil
}

// WriteHead implements [wire.ResponseWriter].
func (x *exchange) WriteHead(status int, fields []wire.Field, length int64) {
	if x.started {
		return
	}
	x.started = true
	h := x.w.Header()
	x.set(h, fields)
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // or net/http would guess one
	}
	x.remain = wire.Unknown
	if length >= 0 {
		h["Content-Length"] = []string{strconv.FormatInt(length, 10)}
		x.remain = length
	}
	if length == wire.None || x.r.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified {
		x.noBody = true
	}
	x.w.WriteHeader(status)
}

func (*exchange) set(h http.Header, fields []wire.Field) {
	for i := range fields {
		f := &fields[i]
		switch f.Known { //nolint:exhaustive // the rest is passed on
		case wire.Connection, wire.HopByHop, wire.TransferEncoding, wire.Upgrade, wire.ContentLength:
			continue // of HTTP/1.1 only
		}
		if !f.Drop {
			name := http.CanonicalHeaderKey(f.Name)
			h[name] = append(h[name], string(append([]byte(nil), f.Value...))) // The fields may be views of a buffer.
		}
	}
}

// Write implements [wire.ResponseWriter].
func (x *exchange) Write(p []byte) error {
	if x.err != nil || len(p) == 0 || x.noBody {
		return x.err
	}
	if x.remain >= 0 {
		if int64(len(p)) > x.remain {
			x.err = io.ErrShortWrite
			return x.err
		}
		x.remain -= int64(len(p))
	}
	x.arm()
	_, err := x.w.Write(p)
	return x.wrote(err)
}

// arm bounds the time of the next write.
func (x *exchange) arm() {
	if t := x.limits.WriteTimeout; t > 0 {
		_ = x.control.SetWriteDeadline(time.Now().Add(t)) // A stream that is gone says so when it is written to.
	}
}

func (x *exchange) wrote(err error) error {
	switch {
	case err == nil:
	case errors.Is(err, os.ErrDeadlineExceeded):
		x.err = wire.WriteTimeout.Err()
	default:
		x.err = wire.ClientGone.Err()
	}
	return x.err
}

// copySize is how much of a file is written at a time.
const copySize = 64 << 10

// WriteFile implements [wire.ResponseWriter].
func (x *exchange) WriteFile(f *os.File, offset, n int64) error {
	buf := make([]byte, min(n, copySize))
	for n > 0 && x.err == nil && !x.noBody {
		got, err := f.ReadAt(buf[:min(n, copySize)], offset)
		if got == 0 {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			x.err = err
			break
		}
		offset, n = offset+int64(got), n-int64(got)
		_ = x.Write(buf[:got]) // kept in x.err
	}
	return x.err
}

// Flush implements [wire.ResponseWriter].
func (x *exchange) Flush() error {
	if x.err != nil || !x.started {
		return x.err
	}
	x.arm()
	return x.wrote(x.control.Flush())
}

// Finish implements [wire.ResponseWriter].
func (x *exchange) Finish(trailers []wire.Field) error {
	if x.err != nil {
		return x.err
	}
	if !x.noBody && x.remain > 0 {
		x.err = io.ErrUnexpectedEOF
		return x.err
	}
	h := x.w.Header()
	for i := range trailers {
		if f := &trailers[i]; !f.Drop {
			name := http.TrailerPrefix + http.CanonicalHeaderKey(f.Name)
			h[name] = append(h[name], string(append([]byte(nil), f.Value...)))
		}
	}
	x.done = true
	return nil
}

// Tunnel implements [wire.ResponseWriter]; no request of HTTP/2 asks for one.
func (*exchange) Tunnel(context.Context, net.Conn, []byte) (in, out int64, err error) {
	return 0, 0, errNoTunnel
}

// watch is who to tell when the client goes away.
type watch struct {
	mu   sync.Mutex
	who  wire.Canceler
	stop func() bool
}

// Watch implements [wire.ResponseWriter].
func (x *exchange) Watch(who wire.Canceler) {
	w := &x.watch
	w.mu.Lock() // No call to Cancel runs while this is held.
	defer w.mu.Unlock()
	if w.stop != nil {
		w.stop()
		w.stop = nil
	}
	w.who = who
	if who == nil {
		return
	}
	w.stop = context.AfterFunc(x.r.Context(), func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.who != nil {
			w.who.Cancel(wire.ClientGone)
		}
	})
}

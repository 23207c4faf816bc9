package http1

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/selvage-dev/selvage/internal/edge/wire"
)

// outSize is how much of an answer is gathered to be sent in one write: the head
// and a small body.
const outSize = 8 << 10

type framing uint8

const (
	noBody   framing = iota
	fixed            // Content-Length
	chunked          // Transfer-Encoding
	untilEOF         // HTTP/1.0
)

// output is the state of an answer.
type output struct {
	buf       []byte // not yet sent
	started   bool
	done      bool
	tunnelled bool
	keepAlive bool
	framing   framing
	remain    int64 // fixed: still to come
	err       error
}

func (o *output) begin() {
	*o = output{buf: o.buf[:0], keepAlive: true}
}

// Inform implements [wire.ResponseWriter].
func (x *exchange) Inform(status int, fields []wire.Field) error {
	if !x.head.http11 || x.out.started || x.out.err != nil {
		return x.out.err
	}
	o := &x.out
	o.buf = appendStatus(o.buf, status)
	o.buf = appendFields(o.buf, fields)
	o.buf = append(o.buf, "\r\n"...)
	return x.Flush()
}

// WriteHead implements [wire.ResponseWriter].
func (x *exchange) WriteHead(status int, fields []wire.Field, length int64) {
	o := &x.out
	if o.started {
		return
	}
	o.started = true
	o.buf = appendStatus(o.buf, status)
	o.buf = appendFields(o.buf, fields)
	if status == http.StatusSwitchingProtocols {
		o.keepAlive = false
		o.buf = append(o.buf, "Connection: Upgrade\r\nUpgrade: "...)
		o.buf = append(o.buf, x.req.Upgrade...)
		o.buf = append(o.buf, "\r\n"...)
	} else {
		o.keepAlive = o.keepAlive && x.head.keepAlive && !x.c.srv.draining.Load() && !x.mustClose()
		x.appendFraming(status, length)
		x.appendConnection()
	}
	if !hasDate(fields) {
		o.buf = append(o.buf, "Date: "...)
		o.buf = x.c.srv.date.append(o.buf, x.req.Start)
		o.buf = append(o.buf, "\r\n"...)
	}
	o.buf = append(o.buf, "\r\n"...)
}

// mustClose reports whether the rest of the request's body stands in the way of
// another request.
func (x *exchange) mustClose() bool {
	b := &x.body
	if !b.open || b.started.Load() {
		return b.failed.Load()
	}
	return b.expect.Load() || b.remain > drainBytes
}

func (x *exchange) appendFraming(status int, length int64) {
	o := &x.out
	o.framing, o.remain = noBody, 0
	switch {
	case status == http.StatusNoContent || length == wire.None || status < http.StatusOK:
	case length >= 0:
		o.buf = append(o.buf, "Content-Length: "...)
		o.buf = strconv.AppendInt(o.buf, length, 10)
		o.buf = append(o.buf, "\r\n"...)
		if x.req.Method != http.MethodHead && status != http.StatusNotModified {
			o.framing, o.remain = fixed, length
		}
	case x.req.Method == http.MethodHead || status == http.StatusNotModified:
	case x.head.http11:
		o.framing = chunked
		o.buf = append(o.buf, "Transfer-Encoding: chunked\r\n"...)
	default:
		o.framing = untilEOF
		o.keepAlive = false
	}
}

func (x *exchange) appendConnection() {
	switch o := &x.out; {
	case !o.keepAlive:
		o.buf = append(o.buf, "Connection: close\r\n"...)
	case !x.head.http11:
		o.buf = append(o.buf, "Connection: keep-alive\r\n"...)
	}
}

// Write implements [wire.ResponseWriter].
func (x *exchange) Write(p []byte) error {
	o := &x.out
	if o.err != nil || len(p) == 0 {
		return o.err
	}
	switch o.framing {
	case noBody:
		return nil
	case fixed:
		if int64(len(p)) > o.remain {
			o.err = io.ErrShortWrite // more than the head promised
			return o.err
		}
		o.remain -= int64(len(p))
		return x.send(p)
	case chunked:
		o.buf = strconv.AppendInt(o.buf, int64(len(p)), 16)
		o.buf = append(o.buf, "\r\n"...)
		err := x.send(p)
		o.buf = append(o.buf, "\r\n"...)
		return err
	case untilEOF:
		return x.send(p)
	}
	return nil
}

// send gathers p if it is small, or sends what was gathered together with it.
func (x *exchange) send(p []byte) error {
	o := &x.out
	if len(o.buf)+len(p) <= outSize {
		o.buf = append(o.buf, p...)
		return nil
	}
	c := x.c
	c.wr.arm(&c.srv.clock, c.srv.limits.Load().WriteTimeout)
	_, err := c.nc.Write2(o.buf, p)
	o.err = c.wrote(err)
	o.buf = o.buf[:0]
	return o.err
}

// Flush implements [wire.ResponseWriter].
func (x *exchange) Flush() error {
	o := &x.out
	if o.err != nil || len(o.buf) == 0 {
		return o.err
	}
	o.err = x.c.write(o.buf)
	o.buf = o.buf[:0]
	return o.err
}

// WriteFile implements [wire.ResponseWriter]. A small file goes through memory,
// with the head, in one write: that is cheaper than to set up a sendfile.
func (x *exchange) WriteFile(f *os.File, offset, n int64) error {
	o := &x.out
	if o.err != nil || o.framing == noBody || n == 0 {
		return o.err
	}
	if o.framing == fixed && o.remain < n {
		o.err = io.ErrShortWrite
		return o.err
	}
	if o.framing == chunked || n <= midBuffer {
		return x.copyFile(f, offset, n)
	}
	c := x.c
	timeout := c.srv.limits.Load().WriteTimeout
	progress := func() { c.wr.arm(&c.srv.clock, timeout) }
	progress()
	err := c.nc.SendFile(o.buf, f, offset, n, progress)
	o.buf = o.buf[:0]
	if errors.Is(err, io.ErrUnexpectedEOF) { // the file is shorter than it was
		_ = c.wr.disarm()
		o.err = io.ErrUnexpectedEOF
		return o.err
	}
	if o.err = c.wrote(err); o.err == nil {
		o.remain -= n
	}
	return o.err
}

// copyFile sends a part of f through the ordinary way out.
func (x *exchange) copyFile(f *os.File, offset, n int64) error {
	buf := x.c.srv.buffers.get(midBuffer)
	defer x.c.srv.buffers.put(buf)
	for n > 0 {
		got, err := f.ReadAt(buf.b[:min(n, int64(len(buf.b)))], offset)
		if got == 0 {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			x.out.err = err
			return err
		}
		if err := x.Write(buf.b[:got]); err != nil {
			return err
		}
		offset += int64(got)
		n -= int64(got)
	}
	return nil
}

// Finish implements [wire.ResponseWriter].
func (x *exchange) Finish(trailers []wire.Field) error {
	o := &x.out
	if o.err != nil {
		return o.err
	}
	switch o.framing {
	case fixed:
		if o.remain > 0 {
			_ = x.Flush() // the missing rest is the error to report
			o.err = io.ErrUnexpectedEOF
			return o.err
		}
	case chunked:
		o.buf = append(o.buf, "0\r\n"...)
		o.buf = appendFields(o.buf, trailers)
		o.buf = append(o.buf, "\r\n"...)
	case noBody, untilEOF:
	}
	o.done = true
	return x.Flush()
}

func appendStatus(b []byte, status int) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(status)...)
	return append(b, "\r\n"...)
}

func appendFields(b []byte, fields []wire.Field) []byte {
	for i := range fields {
		if f := &fields[i]; !f.Drop {
			b = append(b, f.Name...)
			b = append(b, ": "...)
			b = append(b, f.Value...)
			b = append(b, "\r\n"...)
		}
	}
	return b
}

func hasDate(fields []wire.Field) bool {
	for i := range fields {
		if fields[i].Known == wire.Date && !fields[i].Drop {
			return true
		}
	}
	return false
}

// appendDate appends t as an IMF-fixdate (RFC 9110 section 5.6.7).
func appendDate(b []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(b, http.TimeFormat)
}

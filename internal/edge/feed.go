package edge

import (
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/selvage-dev/selvage/internal/edge/wire"
	"github.com/selvage-dev/selvage/internal/upstream"
)

var (
	errTooManyInterim = errors.New("the worker sent too many interim responses")
	errOnlyInterim    = errors.New("the worker ended after an interim response")
	errUnaskedUpgrade = errors.New("the worker changed to a protocol that was not asked for")
)

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

// clientsFault reports whether an error of a response writer is about the client
// rather than about what was to be sent.
func clientsFault(err error) bool {
	var f wire.FaultError
	return errors.As(err, &f)
}

// feedGrace is how long the rest of a body may take after the answer is complete.
// Usually the feed is only a moment behind; a worker that answered without
// reading will never take the rest.
const feedGrace = 50 * time.Millisecond

// feed passes a request's body to the process while the answer is read: a worker
// may answer before it has the whole body, or as it comes.
type feed struct {
	done     chan struct{}
	n        int64 // bytes of the body
	complete bool
}

// startFeed starts passing on the body.
func (c *call) startFeed() {
	f := &feed{done: make(chan struct{})}
	c.feed = f
	go func() {
		defer close(f.done)
		buf := c.s.copyBuffer()
		defer c.s.copies.Put(buf)
		f.run(c, buf.b[:])
	}()
}

// stop ends the feed and reports whether it passed on the whole body.
func (f *feed) stop(c *call) bool {
	grace := time.NewTimer(feedGrace)
	defer grace.Stop()
	select {
	case <-f.done:
	case <-grace.C:
		c.r.Body.Abort()
		_ = c.up.Close()
		<-f.done
	}
	c.bytesIn += f.n
	return f.complete
}

// run copies the body, in chunks if its length is not known. A fault of the
// client ends the exchange with the process, which must not take a part for
// the whole.
func (f *feed) run(c *call, buf []byte) {
	const room = 18 // for a chunk's size and line ends
	chunked := c.r.Length == wire.Unknown
	up, body := c.up, c.r.Body
	for {
		n, err := body.Read(buf[room : len(buf)-2])
		if n > 0 {
			f.n += int64(n)
			piece := buf[room : room+n]
			if chunked {
				piece = frameChunk(buf, room, n)
			}
			if _, err := up.Write(piece); err != nil {
				return // it may have answered nevertheless
			}
			continue
		}
		if isEOF(err) {
			f.complete = !chunked || f.end(up, body.Trailers(), buf) == nil
			return
		}
		fault := wire.FaultError(wire.ClientGone)
		_ = errors.As(err, &fault) // what is none is the connection's end
		c.Cancel(wire.Fault(fault))
		return
	}
}

// frameChunk puts the size before and the line end after the n bytes at buf[at:].
func frameChunk(buf []byte, at, n int) []byte {
	var size [16]byte
	digits := strconv.AppendInt(size[:0], int64(n), 16)
	start := at - len(digits) - 2
	copy(buf[start:], digits)
	copy(buf[at-2:], "\r\n")
	copy(buf[at+n:], "\r\n")
	return buf[start : at+n+2]
}

// end writes the last chunk and the trailers.
func (f *feed) end(up *upstream.Conn, trailers []wire.Field, buf []byte) error {
	b := append(buf[:0], "0\r\n"...)
	for i := range trailers {
		b = appendField(b, trailers[i].Name, trailers[i].Value)
	}
	b = append(b, "\r\n"...)
	_, err := up.Write(b)
	return err
}

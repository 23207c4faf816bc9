package edge

import (
	"net/http"

	"github.com/selvage-dev/selvage/internal/edge/wire"
	"github.com/selvage-dev/selvage/internal/telemetry"
)

// maxInterim bounds the interim responses to one request.
const maxInterim = 16

// copySize is the buffer for bodies that do not fit a connection's own.
const copySize = 64 << 10

type copyBuffer struct{ b [copySize]byte }

func (s *Server) copyBuffer() *copyBuffer {
	if b, ok := s.copies.Get().(*copyBuffer); ok {
		return b
	}
	return &copyBuffer{}
}

// inform passes an interim response on. 100 is not: the edge has asked for the
// body itself.
func (c *call) inform(n int) error {
	if n >= maxInterim {
		return errTooManyInterim
	}
	if c.head.Status == http.StatusContinue {
		return nil
	}
	for i := range c.head.Fields {
		if f := &c.head.Fields[i]; f.Known.IsInternal() {
			f.Drop = true
		}
	}
	// The client's end is noticed where the answer is written.
	_ = c.w.Inform(c.head.Status, c.head.Fields)
	return nil
}

// relay passes the answer on. It reports whether the connection to the process
// is at the start of another exchange.
func (c *call) relay() bool {
	h := &c.head
	if c.threw() {
		c.outcome = telemetry.OutcomeException
		c.page(problemException())
		return h.KeepAlive
	}
	if c.target.Cache != nil {
		c.beginFill()
	}
	fields := c.filterResponse()
	length := h.Length
	bodiless := c.r.Method == http.MethodHead || h.Status == http.StatusNoContent || h.Status == http.StatusNotModified
	if length == wire.Unknown && (h.Status == http.StatusNoContent || h.Status == http.StatusNotModified) {
		length = wire.None
	}
	c.writeHead(h.Status, fields, length)
	complete := true
	switch {
	case bodiless:
	case h.Chunked:
		complete = c.relayChunked()
	case h.Length >= 0:
		complete = c.relayFixed(h.Length)
	default:
		complete = c.relayToEnd()
		h.KeepAlive = false
	}
	if !complete {
		c.outcome = telemetry.OutcomeException
		if c.w.Flush() != nil || c.cause.Load() != 0 { // what arrived; the connection then ends in mid-answer
			c.outcome = telemetry.OutcomeDisconnected
		} else if outcome := c.inst.Ended(c.sent, true); outcome != "" {
			c.outcome = outcome
			c.tellLimit()
		}
		return false
	}
	c.endFill()
	var trailers []wire.Field
	if h.Chunked && !bodiless {
		trailers = c.chunks.Trailers()
	}
	if c.w.Finish(trailers) != nil {
		c.outcome = telemetry.OutcomeDisconnected
		return false
	}
	c.outcome = telemetry.OutcomeOK
	return h.KeepAlive
}

// relayFixed passes on a body of n bytes.
func (c *call) relayFixed(n int64) bool {
	br := c.up.Reader
	for n > 0 {
		if br.Buffered() == 0 {
			if n >= copySize {
				return c.relayLarge(n)
			}
			if !c.awaitMore() {
				return false
			}
		}
		b, _ := br.Peek(int(min(int64(br.Buffered()), n)))
		if !c.write(b) {
			return false
		}
		_, _ = br.Discard(len(b)) // buffered
		n -= int64(len(b))
	}
	return true
}

// relayLarge passes on the rest of a large body with a large buffer.
func (c *call) relayLarge(n int64) bool {
	buf := c.s.copyBuffer()
	defer c.s.copies.Put(buf)
	for n > 0 {
		if c.w.Flush() != nil {
			return false
		}
		got, err := c.up.Reader.Read(buf.b[:min(copySize, n)])
		if got > 0 && !c.write(buf.b[:got]) {
			return false
		}
		n -= int64(got)
		if err != nil && n > 0 {
			return false
		}
	}
	return true
}

// relayChunked passes on a chunked body, chunk by chunk, as it comes.
func (c *call) relayChunked() bool {
	br := c.up.Reader
	c.chunks.Reset()
	for !c.chunks.Done() {
		if br.Buffered() == 0 && !c.awaitMore() {
			return false
		}
		b, _ := br.Peek(br.Buffered())
		n, data, f := c.chunks.Next(b)
		if f != wire.NoFault {
			c.blame("read the worker's answer", f.Err())
			return false
		}
		if len(data) > 0 && !c.write(data) {
			return false
		}
		_, _ = br.Discard(n) // buffered
	}
	return true
}

// relayToEnd passes on a body that ends with its connection.
func (c *call) relayToEnd() bool {
	br := c.up.Reader
	for {
		if br.Buffered() == 0 && !c.awaitMore() {
			return c.cause.Load() == 0 && c.atEOF()
		}
		b, _ := br.Peek(br.Buffered())
		if !c.write(b) {
			return false
		}
		_, _ = br.Discard(len(b)) // buffered
	}
}

// atEOF reports whether the process ended its side in good order.
func (c *call) atEOF() bool {
	_, err := c.up.Reader.Peek(1)
	return isEOF(err)
}

// awaitMore sends what was gathered, since nothing more is there now, and waits
// for more. That is what keeps server-sent events moving.
func (c *call) awaitMore() bool {
	if c.w.Flush() != nil {
		return false
	}
	_, err := c.up.Reader.Peek(1)
	return err == nil
}

func (c *call) write(b []byte) bool {
	if c.w.Write(b) != nil {
		return false
	}
	c.bytesOut += int64(len(b))
	if c.cache.fill != nil {
		c.cache.keep(b)
	}
	return true
}

// tunnel joins client and worker after the worker agreed to a WebSocket.
func (c *call) tunnel() (outcome, error) {
	if !c.upgrades() || !wire.Is(c.head.Upgrade, "websocket") {
		return failed, errUnaskedUpgrade
	}
	c.outcome = telemetry.OutcomeOK
	c.writeHead(http.StatusSwitchingProtocols, c.filterResponse(), wire.None)
	// From here on each end notices the other's end by itself.
	c.w.Watch(nil)
	c.count.webSockets.Add(1)
	defer c.count.webSockets.Add(-1)
	buffered, _ := c.up.Reader.Peek(c.up.Reader.Buffered())
	hangup, done := c.inst.Tunnel()
	defer done()
	in, out, _ := c.w.Tunnel(hangup, c.up.Conn, buffered) // how it ended is nobody's fault
	c.bytesIn += in
	c.bytesOut += out
	return answered, nil
}

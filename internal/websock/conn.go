package websock

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	writeTimeout = 10 * time.Second
	closeTimeout = 2 * time.Second
	// A client may be silent for idleTimeout. Those that read a tail ping
	// every ten seconds.
	idleTimeout = 2 * time.Minute
)

// ErrClosed is returned by Write after the connection has begun to close.
var ErrClosed = errors.New("websock: closed")

// Conn is a server's end of a WebSocket. Write and Close may be called by several
// goroutines; Serve is called once and reads.
type Conn struct {
	nc net.Conn
	br *bufio.Reader

	mu      sync.Mutex // writes one frame at a time
	buf     []byte
	closing bool
}

// Serve reads until the connection ends and answers pings. Each message of the
// client is given to message, which may be nil. It closes the connection. The error
// is nil when the client closed it in good order or ctx ended, in which case the
// client is told that the server goes away.
func (c *Conn) Serve(ctx context.Context, message func(text []byte)) error {
	stop := context.AfterFunc(ctx, func() { c.Close(CloseGoingAway, "the platform is stopping") })
	defer stop()
	defer func() { _ = c.nc.Close() }()
	err := c.read(message)
	var fault *ProtocolError
	switch {
	case errors.As(err, &fault):
		c.Close(fault.Code, fault.Text)
		return err
	case errors.Is(err, errClosedByClient), ctx.Err() != nil:
		return nil
	}
	return err
}

var errClosedByClient = errors.New("websock: the client closed the connection")

// read reads frames until one of them ends the connection.
func (c *Conn) read(message func(text []byte)) error {
	var whole []byte
	var op byte
	frames, first := 0, true
	for {
		if err := c.awaitFrame(); err != nil {
			return err
		}
		h, err := readHeader(c.br)
		if err != nil {
			return err
		}
		data := h.op&controlBit == 0
		if !h.masked && (!data || !first) {
			return breach(CloseProtocol, "a frame of the client is not masked")
		}
		limit := maxControl
		if data {
			limit, first = maxMessage-len(whole), false
			if frames++; frames > maxFrames {
				return breach(CloseTooBig, "a message has more than %d frames", maxFrames)
			}
		}
		payload, err := readPayload(c.br, &h, limit)
		if err != nil {
			return err
		}
		if !data {
			if err := c.control(h.op, payload); err != nil {
				return err
			}
			continue
		}
		switch {
		case h.op == opContinuation && op == 0:
			return breach(CloseProtocol, "a continuation continues nothing")
		case h.op != opContinuation && op != 0:
			return breach(CloseProtocol, "a message begins within another")
		case h.op != opContinuation:
			op = h.op
		}
		whole = append(whole, payload...)
		if !h.fin {
			continue
		}
		if op == opText && !utf8.Valid(whole) {
			return breach(CloseInvalidText, "a text is not UTF-8")
		}
		if message != nil {
			message(whole)
		}
		whole, op, frames = nil, 0, 0
	}
}

// awaitFrame sets how long the next frame may take, unless the end has been set.
func (c *Conn) awaitFrame() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return nil
	}
	return c.nc.SetReadDeadline(time.Now().Add(idleTimeout))
}

func (c *Conn) control(op byte, payload []byte) error {
	switch op {
	case opPing:
		// A client that does not read its answers finds out by the write's end.
		if err := c.send(opPong, payload); err != nil && !errors.Is(err, ErrClosed) {
			return err
		}
	case opClose:
		code, err := closeCode(payload)
		if err != nil {
			return err
		}
		c.Close(code, "")
		return errClosedByClient
	}
	return nil
}

// closeCode reads the code of a close frame and checks the frame.
func closeCode(payload []byte) (int, error) {
	if len(payload) == 0 {
		return closeNoStatus, nil
	}
	if len(payload) == 1 || !utf8.Valid(payload[2:]) {
		return 0, breach(CloseProtocol, "a close frame is malformed")
	}
	code := int(binary.BigEndian.Uint16(payload))
	if code < 1000 || code >= 5000 || code >= 1004 && code <= 1006 || code >= 1015 && code < 3000 {
		return 0, breach(CloseProtocol, "a close frame has the code %d, which none may have", code)
	}
	return code, nil
}

// Write sends one text message. A client that does not take it within ten seconds
// loses the connection.
func (c *Conn) Write(text []byte) error { return c.send(opText, text) }

func (c *Conn) send(op byte, payload []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return ErrClosed
	}
	return c.write(op, payload, writeTimeout)
}

// write sends a frame. The caller holds c.mu.
func (c *Conn) write(op byte, payload []byte, timeout time.Duration) error {
	c.buf = appendFrame(c.buf[:0], op, payload)
	if err := c.nc.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	n, err := c.nc.Write(c.buf)
	if err == nil && n < len(c.buf) {
		err = io.ErrShortWrite
	}
	if err != nil { // half a frame may be out: nothing can follow it
		c.closing = true
		_ = c.nc.Close()
	}
	if cap(c.buf) > maxMessage {
		c.buf = nil
	}
	return err
}

// Close begins to close the connection: Serve returns when the client has answered,
// or soon after. A second call does nothing.
func (c *Conn) Close(code int, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return
	}
	var payload []byte
	if code != closeNoStatus {
		payload = binary.BigEndian.AppendUint16(nil, uint16(code)) //nolint:gosec // one of the constants, or a code that was checked
		payload = append(payload, reason[:min(len(reason), maxControl-2)]...)
	}
	if c.write(opClose, payload, closeTimeout) != nil {
		return
	}
	c.closing = true
	_ = c.nc.SetReadDeadline(time.Now().Add(closeTimeout)) // a closed connection ends the read as well
}

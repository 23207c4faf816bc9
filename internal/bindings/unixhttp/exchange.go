package unixhttp

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

const (
	// Up to inlineBody bytes of a body are copied behind the head, so that both go
	// out in one write.
	inlineBody = 16 << 10
	// An answer that the worker does not read for writeTimeout is given up.
	writeTimeout = time.Minute
)

var errAnswered = errors.New("unixhttp: a second answer to one request")

// Exchange is a request and the way to answer it, valid until the handler
// returns. A handler calls Begin, then Field as often as it likes, then Send or
// SendFile, each once.
type Exchange struct {
	Request *http.Request

	ctx   context.Context //nolint:containedctx // lives as long as the handler runs
	conn  net.Conn
	head  []byte
	began bool
	sent  bool
	err   error // why the connection cannot go on
}

// Context ends when the server closes.
func (x *Exchange) Context() context.Context { return x.ctx }

// Begin writes the status line. What must not be in a reason becomes "?".
func (x *Exchange) Begin(status int, reason string) {
	x.began = true
	x.head = append(x.head[:0], "HTTP/1.1 "...)
	x.head = strconv.AppendInt(x.head, int64(status), 10)
	x.head = append(x.head, ' ')
	for i := range len(reason) {
		c := reason[i]
		if c < ' ' || c > '~' {
			c = '?'
		}
		x.head = append(x.head, c)
	}
	x.head = append(x.head, "\r\n"...)
}

// Field adds a header field. Line ends and zeros in the value become spaces.
func (x *Exchange) Field(name, value string) {
	x.head = append(append(x.head, name...), ": "...)
	for i := range len(value) {
		c := value[i]
		if c == '\r' || c == '\n' || c == 0 {
			c = ' '
		}
		x.head = append(x.head, c)
	}
	x.head = append(x.head, "\r\n"...)
}

func (x *Exchange) length(n int64) {
	x.head = append(x.head, "Content-Length: "...)
	x.head = strconv.AppendInt(x.head, n, 10)
	x.head = append(x.head, "\r\n\r\n"...)
}

// Send answers with a body.
func (x *Exchange) Send(body []byte) {
	if !x.start(int64(len(body))) {
		return
	}
	if len(body) <= inlineBody {
		x.head = append(x.head, body...)
		_, x.err = x.conn.Write(x.head)
		return
	}
	buffers := net.Buffers{x.head, body}
	_, x.err = buffers.WriteTo(x.conn)
}

// SendFile answers with the first size bytes of a file, which stays open. The
// error is for the log; the connection has ended then, so that the worker does
// not take a part for the whole.
func (x *Exchange) SendFile(f *os.File, size int64) error {
	if !x.start(size) {
		return x.err
	}
	if _, x.err = x.conn.Write(x.head); x.err != nil {
		return x.err
	}
	var n int64
	if n, x.err = io.Copy(x.conn, io.LimitReader(f, size)); x.err == nil && n != size {
		x.err = io.ErrUnexpectedEOF
	}
	return x.err
}

// start ends the head of an answer of so many bytes.
func (x *Exchange) start(size int64) bool {
	if x.sent || !x.began {
		x.err = errAnswered
		return false
	}
	x.sent = true
	x.length(size)
	if size > inlineBody { // less never waits: it fits the socket's buffer
		x.err = x.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	}
	return x.err == nil
}

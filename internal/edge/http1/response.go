package http1

import (
	"bufio"
	"errors"
	"io"

	"github.com/selvage-dev/selvage/internal/edge/wire"
)

// Errors of [ResponseHead.Read].
var (
	// ErrMalformed is a response that breaks HTTP/1.1 or could be read in two ways.
	ErrMalformed = errors.New("http1: malformed response head")
	// ErrHeadTooLarge is a response head beyond the limit.
	ErrHeadTooLarge = errors.New("http1: response head too large")
)

// maxResponseFields bounds a worker's answer: it may well set many cookies.
const maxResponseFields = 512

// ResponseHead is the head of one response read from upstream. The zero value
// is ready; it is used again for the next one.
type ResponseHead struct {
	Status int
	// Fields are valid until the next read from the reader. Those that belong
	// to the connection are marked Drop.
	Fields []wire.Field
	// Length of the body as the fields give it: a number, or Unknown when
	// Chunked or when the body ends with the connection. Without regard to the
	// request's method and to Status.
	Length    int64
	Chunked   bool
	KeepAlive bool
	// Upgrade is the protocol of a 101.
	Upgrade string

	spill []byte
}

// Read reads the next head from br. It returns io.EOF (or the connection's error)
// as it is when nothing at all
// came, and io.ErrUnexpectedEOF when the connection ended in mid-head.
func (h *ResponseHead) Read(br *bufio.Reader, maxBytes int) error {
	var s scanner
	lim := headLimits{bytes: maxBytes, first: maxBytes, fields: maxResponseFields}
	for n := 1; ; {
		if _, err := br.Peek(n); err != nil {
			if errors.Is(err, bufio.ErrBufferFull) {
				return h.readLong(br, maxBytes)
			}
			if n > 1 {
				return io.ErrUnexpectedEOF
			}
			return err
		}
		b, _ := br.Peek(br.Buffered()) // cannot fail: that much is buffered
		end, f := s.next(b, lim)
		switch {
		case f == wire.HeadTooLarge || f == wire.TargetTooLong || f == wire.TooManyFields:
			return ErrHeadTooLarge
		case f != wire.NoFault || s.start > 0:
			return ErrMalformed
		case end > 0:
			head := b[:end]
			// Discard moves no bytes: head stays readable until the next fill.
			if _, err := br.Discard(end); err != nil {
				return err
			}
			return h.parse(head)
		}
		n = len(b) + 1
	}
}

// readLong reads a head that is larger than br's buffer into one of its own.
func (h *ResponseHead) readLong(br *bufio.Reader, maxBytes int) error {
	var s scanner
	lim := headLimits{bytes: maxBytes, first: maxBytes, fields: maxResponseFields}
	h.spill = h.spill[:0]
	for {
		line, err := br.ReadSlice('\n')
		if len(h.spill)+len(line) > maxBytes {
			return ErrHeadTooLarge
		}
		h.spill = append(h.spill, line...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return io.ErrUnexpectedEOF
		}
		end, f := s.next(h.spill, lim)
		switch {
		case f == wire.TooManyFields:
			return ErrHeadTooLarge
		case f != wire.NoFault:
			return ErrMalformed
		case end > 0:
			return h.parse(h.spill)
		}
	}
}

// parse reads the complete head b (RFC 9112 sections 4 to 6).
func (h *ResponseHead) parse(b []byte) error {
	line, rest := cutLine(b)
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[7] > '1' || line[7] < '0' || line[8] != ' ' {
		return ErrMalformed
	}
	if len(line) > 12 && line[12] != ' ' {
		return ErrMalformed
	}
	status := 0
	for _, ch := range line[9:12] {
		if ch < '0' || ch > '9' {
			return ErrMalformed
		}
		status = status*10 + int(ch-'0')
	}
	if status < 100 || status > 599 {
		return ErrMalformed
	}
	h.Status = status
	h.KeepAlive = line[7] == '1'
	h.Upgrade = ""
	var f wire.Fault
	if h.Fields, f = parseFields(rest, h.Fields[:0]); f != wire.NoFault {
		return ErrMalformed
	}
	return h.parseFraming()
}

func (h *ResponseHead) parseFraming() error {
	h.Length, h.Chunked = wire.Unknown, false
	for i := range h.Fields {
		f := &h.Fields[i]
		switch f.Known { //nolint:exhaustive // the rest is not about framing
		case wire.ContentLength:
			f.Drop = true
			n, ok := parseLength(f.Value)
			if !ok || h.Length >= 0 {
				return ErrMalformed
			}
			h.Length = n
		case wire.TransferEncoding:
			f.Drop = true
			if h.Chunked || !wire.Is(f.Value, "chunked") {
				return ErrMalformed
			}
			h.Chunked = true
		case wire.Connection:
			f.Drop = true
			if wire.HasToken(f.Value, "close") {
				h.KeepAlive = false
			}
			dropNamed(h.Fields, f.Value)
		case wire.Upgrade:
			f.Drop = true
			h.Upgrade = f.Value
		case wire.HopByHop:
			f.Drop = true
		}
	}
	if h.Chunked && h.Length >= 0 {
		return ErrMalformed
	}
	return nil
}

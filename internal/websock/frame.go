package websock

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Opcodes, RFC 6455 section 5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

const (
	maxControl  = 125 // bytes of a control frame, RFC 6455 section 5.5
	maxMessage  = 64 << 10
	maxFrames   = 1024 // of one message: empty ones cost time, too
	controlBit  = 0x8
	finBit      = 0x80
	reservedBit = 0x70
	maskBit     = 0x80
)

// Close codes, RFC 6455 section 7.4.1.
const (
	CloseNormal      = 1000
	CloseGoingAway   = 1001
	CloseProtocol    = 1002
	CloseUnsupported = 1003
	CloseInvalidText = 1007
	CloseTooBig      = 1009
	closeNoStatus    = 1005 // never sent
)

// ProtocolError is a client's breach of the RFC, with the code to close with.
type ProtocolError struct {
	Code int
	Text string
}

func (e *ProtocolError) Error() string { return fmt.Sprintf("websock: %s [%d]", e.Text, e.Code) }

func breach(code int, format string, args ...any) error {
	return &ProtocolError{Code: code, Text: fmt.Sprintf(format, args...)}
}

// header is the head of one frame.
type header struct {
	op     byte
	fin    bool
	masked bool
	mask   [4]byte
	length int64
}

// readHeader reads the head of a frame and checks all that it says by itself.
func readHeader(r *bufio.Reader) (h header, err error) {
	var b [8]byte
	if _, err := io.ReadFull(r, b[:2]); err != nil {
		return h, err
	}
	h.fin, h.op, h.masked = b[0]&finBit != 0, b[0]&0x0f, b[1]&maskBit != 0
	h.length = int64(b[1] &^ maskBit)
	switch {
	case b[0]&reservedBit != 0:
		return h, breach(CloseProtocol, "a reserved bit is set, but no extension was agreed on")
	case h.op > opBinary && h.op < opClose || h.op > opPong:
		return h, breach(CloseProtocol, "the opcode %#x is not defined", h.op)
	case h.op&controlBit != 0 && (!h.fin || h.length > maxControl):
		return h, breach(CloseProtocol, "a control frame is fragmented or too long")
	}
	switch h.length {
	case 126:
		if _, err := io.ReadFull(r, b[:2]); err != nil {
			return h, unexpected(err)
		}
		h.length = int64(binary.BigEndian.Uint16(b[:2]))
		if h.length < 126 {
			return h, breach(CloseProtocol, "a length is not in its shortest form")
		}
	case 127:
		if _, err := io.ReadFull(r, b[:8]); err != nil {
			return h, unexpected(err)
		}
		n := binary.BigEndian.Uint64(b[:8])
		if n>>63 != 0 || n < 1<<16 {
			return h, breach(CloseProtocol, "a length is not in its shortest form")
		}
		h.length = int64(n)
	}
	if h.masked {
		if _, err := io.ReadFull(r, h.mask[:]); err != nil {
			return h, unexpected(err)
		}
	}
	return h, nil
}

// readPayload reads what follows a head.
func readPayload(r *bufio.Reader, h *header, limit int) ([]byte, error) {
	if h.length > int64(limit) {
		return nil, breach(CloseTooBig, "a message is longer than %d bytes", maxMessage)
	}
	b := make([]byte, h.length)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, unexpected(err)
	}
	if h.masked {
		for i := range b {
			b[i] ^= h.mask[i&3]
		}
	}
	return b, nil
}

// unexpected tells an end in the middle of a frame from one between two.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// appendFrame appends a whole message in one frame, without a mask as servers send.
func appendFrame(b []byte, op byte, payload []byte) []byte {
	b = append(b, finBit|op)
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}

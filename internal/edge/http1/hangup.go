package http1

import (
	"encoding/binary"
	"time"
)

// hangupFrame closes a WebSocket with code 1012, "service restart" (RFC 6455,
// sections 5.5.1 and 7.4; the code is from the IANA registry). What a server
// sends is not masked.
const hangupFrame = "\x88\x02\x03\xf4"

// hangupPatience bounds how long a frame that has begun may take to end when the
// WebSocket is to be closed.
const hangupPatience = time.Second

// frames follows the WebSocket frames that a worker sends, so that a frame of
// ours can be put between two of them. The zero value is at the beginning of one.
type frames struct {
	head [10]byte // of the frame that has begun: what came of it
	n    int
	left uint64 // bytes of its payload that are still to come
}

// between reports whether the next byte begins a frame.
func (f *frames) between() bool { return f.n == 0 && f.left == 0 }

// next follows b.
func (f *frames) next(b []byte) {
	for len(b) > 0 {
		if f.left > 0 {
			skip := min(f.left, uint64(len(b)))
			f.left -= skip
			b = b[skip:]
			continue
		}
		f.head[f.n] = b[0]
		f.n++
		b = b[1:]
		if f.n >= 2 && f.n == f.headSize() {
			f.left, f.n = f.payload(), 0
		}
	}
}

// headSize is the size of a head of which two bytes are there. A worker never
// masks; if one did, the count would be wrong for its own WebSocket only.
func (f *frames) headSize() int {
	switch f.head[1] & 0x7f {
	case 126:
		return 4
	case 127:
		return 10
	}
	return 2
}

func (f *frames) payload() uint64 {
	switch n := f.head[1] & 0x7f; n {
	case 126:
		return uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		return binary.BigEndian.Uint64(f.head[2:])
	default:
		return uint64(n)
	}
}

package http1

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// frame is a server's frame with n bytes of payload.
func frame(n int) []byte {
	head := []byte{0x82}
	switch {
	case n < 126:
		head = append(head, byte(n))
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 126), uint16(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 127), uint64(n))
	}
	return append(head, bytes.Repeat([]byte{0xff}, n)...)
}

// TestFrames cuts a stream in two at every byte: only between frames does the
// count say so.
func TestFrames(t *testing.T) {
	t.Parallel()
	var stream []byte
	ends := map[int]bool{0: true}
	for _, n := range []int{0, 1, 125, 126, 127, 300, 1<<16 - 1, 1 << 16, 5} {
		stream = append(stream, frame(n)...)
		ends[len(stream)] = true
	}
	for cut := range len(stream) + 1 {
		var f frames
		f.next(stream[:cut])
		if f.between() != ends[cut] {
			t.Fatalf("after %d bytes: between = %v", cut, f.between())
		}
		if cut%1000 != 0 && !ends[cut] {
			continue
		}
		f.next(stream[cut:])
		if !f.between() {
			t.Fatalf("cut at %d: the end is not between frames", cut)
		}
	}
}

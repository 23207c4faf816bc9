package gitrepo

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"sync"
)

// The pkt-line format and the sideband are those of gitprotocol-common(5) and
// gitprotocol-pack(5).
const (
	flushPkt     = "0000"
	maxPkt       = 65520 // bytes of a packet with its length
	pktHeader    = 4
	bandProgress = 2
)

// pktLine returns text as one packet.
func pktLine(text string) string { return fmt.Sprintf("%04x%s", len(text)+pktHeader, text) }

// wantsSideband reports whether the commands of a push ask for the side band, by
// looking at what comes first of it. It leaves the reader where it is.
func wantsSideband(r *bufio.Reader) bool {
	at := 0
	for {
		head, err := r.Peek(at + pktHeader)
		if err != nil {
			return false
		}
		n, err := strconv.ParseUint(string(head[at:]), 16, 16)
		if err != nil || n <= pktHeader {
			return false
		}
		pkt, err := r.Peek(at + int(n))
		if err != nil {
			return false
		}
		// "shallow" lines come before the first command, which has the capabilities.
		if _, caps, ok := bytes.Cut(pkt[at+pktHeader:], []byte{0}); ok {
			for word := range bytes.FieldsSeq(caps) {
				if string(word) == "side-band-64k" {
					return true
				}
			}
			return false
		}
		at += int(n)
	}
}

// sideband passes on packets of git's and holds back the flush that ends them, so
// that more can be said. It is safe for concurrent use.
type sideband struct {
	mu    sync.Mutex
	w     io.Writer
	head  []byte // of the packet that comes, up to its length
	left  int    // bytes of it to come
	ended bool   // git has sent its flush
	wrote bool
	err   error
}

// Write implements io.Writer.
func (b *sideband) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	total := len(p)
	for len(p) > 0 && b.err == nil && !b.ended {
		if b.left > 0 {
			n := min(b.left, len(p))
			b.send(p[:n])
			b.left -= n
			p = p[n:]
			continue
		}
		n := min(pktHeader-len(b.head), len(p))
		b.head = append(b.head, p[:n]...)
		p = p[n:]
		if len(b.head) < pktHeader {
			break
		}
		if string(b.head) == flushPkt {
			b.ended = true
			break
		}
		size, err := strconv.ParseUint(string(b.head), 16, 16)
		if err != nil || size < pktHeader {
			b.err = fmt.Errorf("gitrepo: git answers with a packet of length %.8q", b.head)
			break
		}
		b.send(b.head)
		b.left, b.head = int(size)-pktHeader, b.head[:0]
	}
	if b.err != nil {
		return 0, b.err
	}
	return total, nil
}

func (b *sideband) send(p []byte) {
	b.wrote = true
	if _, err := b.w.Write(p); err != nil {
		b.err = err
	}
}

// say sends text as a progress message; empty, it keeps the connection alive.
func (b *sideband) say(text string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil || b.left > 0 {
		return b.err
	}
	for first := true; first || text != ""; first = false {
		n := min(len(text), maxPkt-pktHeader-1)
		b.send([]byte(pktLine(string(rune(bandProgress)) + text[:n])))
		text = text[n:]
	}
	return b.err
}

// end sends the flush.
func (b *sideband) end() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil && b.left == 0 && b.wrote {
		b.send([]byte(flushPkt))
	}
	return b.err
}

package rpcrelay

import (
	"io"
	"sync"
)

const (
	readSize = 64 << 10
	// The size keepSize is the largest buffer that is kept when it is empty.
	keepSize = 1 << 20
)

// reader takes messages off a connection.
type reader struct {
	from       io.Reader
	buf        []byte
	start, end int
	need       int // bytes that the next message has at least
	msg        message
}

// next returns the next message that was read completely, nil when there is none.
func (r *reader) next() (*message, error) {
	size, need, err := r.msg.parse(r.buf[r.start:r.end:r.end])
	if err != nil {
		return nil, err
	}
	r.need = need
	if size == 0 {
		return nil, nil // documented above
	}
	r.start += size
	return &r.msg, nil
}

// fill reads once. What next returned is void afterwards.
func (r *reader) fill() error {
	if r.start == r.end {
		r.start, r.end = 0, 0
		if len(r.buf) > keepSize {
			r.buf = nil
		}
	}
	if size := max(readSize, r.need); r.buf == nil || len(r.buf)-r.start < size {
		to := r.buf
		if len(to) < size {
			// The size that a peer announces is believed step by step.
			to = make([]byte, min(size, max(readSize, 2*(r.end-r.start))))
		}
		r.end = copy(to, r.buf[r.start:r.end])
		r.start, r.buf = 0, to
	}
	n, err := r.from.Read(r.buf[r.end:])
	r.end += n
	if n > 0 {
		return nil
	}
	return err
}

// writer queues messages for a connection. The queue belongs to the session's
// lock; whoever has put something into it flushes it after.
type writer struct {
	mu      *sync.Mutex // the session's
	room    sync.Cond
	to      io.WriteCloser
	buf     []byte
	spare   []byte
	writing bool
	failed  bool
}

func newWriter(mu *sync.Mutex, to io.WriteCloser) writer {
	return writer{mu: mu, to: to, room: sync.Cond{L: mu}}
}

// flush writes what is queued, or leaves it to the one who is at it, as long as
// that is not too much. The caller holds the lock, which flush lets go.
func (w *writer) flush() {
	for w.writing && len(w.buf) > maxWaiting {
		w.room.Wait()
	}
	if w.writing || w.to == nil {
		return
	}
	w.writing = true
	for len(w.buf) > 0 {
		b := w.buf
		w.buf = w.spare[:0]
		w.mu.Unlock()
		_, err := w.to.Write(b)
		w.mu.Lock()
		if w.spare = b[:0]; cap(b) > keepSize {
			w.spare = nil
		}
		if err != nil && !w.failed {
			// The reader of this connection finds out, and cleans up.
			w.failed = true
			_ = w.to.Close()
		}
	}
	w.writing = false
	w.room.Broadcast()
}

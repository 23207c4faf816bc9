package http1

import "sync"

// Sizes of buffers: a request head almost always fits the first.
const (
	minBuffer = 4 << 10
	midBuffer = 16 << 10
)

// buffers hands out read buffers. Idle connections hold none, so there are
// about as many as requests in flight.
type buffers struct {
	small, mid sync.Pool
}

type buffer struct{ b []byte }

// get returns a buffer of at least n bytes.
func (p *buffers) get(n int) *buffer {
	var pool *sync.Pool
	switch {
	case n <= minBuffer:
		pool, n = &p.small, minBuffer
	case n <= midBuffer:
		pool, n = &p.mid, midBuffer
	default:
		return &buffer{make([]byte, n)} // rare: a huge head
	}
	if b, ok := pool.Get().(*buffer); ok {
		return b
	}
	return &buffer{make([]byte, n)}
}

func (p *buffers) put(b *buffer) {
	switch {
	case b == nil:
	case len(b.b) == minBuffer:
		p.small.Put(b)
	case len(b.b) == midBuffer:
		p.mid.Put(b)
	}
}

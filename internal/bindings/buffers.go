package bindings

import "sync"

// copyBuffer is the size of the buffers that bodies go through.
const copyBuffer = 32 << 10

// buffers is an httputil.BufferPool that all doors share.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[copyBuffer]byte); ok {
		return p[:]
	}
	return make([]byte, copyBuffer)
}

func (b *buffers) Put(p []byte) { b.pool.Put((*[copyBuffer]byte)(p)) }

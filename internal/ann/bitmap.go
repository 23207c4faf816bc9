package ann

import (
	"iter"
	"math/bits"
	"slices"
)

// Bitmap is a set of rows, 0 to Len()-1. It knows how many it holds, which is
// what a search plans by. Not safe for concurrent change.
type Bitmap struct {
	words []uint64
	n     int
	count int
}

// NewBitmap returns an empty set for rows below n.
func NewBitmap(n int) *Bitmap { return &Bitmap{words: make([]uint64, (n+63)/64), n: n} }

// Len returns the bound of the rows.
func (b *Bitmap) Len() int { return b.n }

// Count returns the number of rows in the set. Nil is an empty set.
func (b *Bitmap) Count() int {
	if b == nil {
		return 0
	}
	return b.count
}

// Has says whether row is in the set. A row beyond Len is not; nil is an empty
// set.
func (b *Bitmap) Has(row uint32) bool {
	return b != nil && int(row) < b.n && b.words[row>>6]>>(row&63)&1 != 0
}

// Set adds row, which must be below Len, and says whether it was missing.
func (b *Bitmap) Set(row uint32) bool {
	if int(row) >= b.n {
		panic("ann: row beyond the bitmap")
	}
	w, bit := &b.words[row>>6], uint64(1)<<(row&63)
	if *w&bit != 0 {
		return false
	}
	*w |= bit
	b.count++
	return true
}

// SetRange adds the rows from first to below end, which is at most Len. It takes
// a word at a time: a namespace or a sorted column is a range of many rows.
func (b *Bitmap) SetRange(first, end int) {
	if first < 0 || first > end || end > b.n {
		panic("ann: rows beyond the bitmap")
	}
	for at := first; at < end; {
		w, mask := &b.words[at>>6], ^uint64(0)<<(at&63)
		next := at&^63 + 64
		if next > end {
			mask &= 1<<(end&63) - 1
		}
		b.count += bits.OnesCount64(mask &^ *w)
		*w |= mask
		at = next
	}
}

// Unset removes row and says whether it was there.
func (b *Bitmap) Unset(row uint32) bool {
	if !b.Has(row) {
		return false
	}
	b.words[row>>6] &^= 1 << (row & 63)
	b.count--
	return true
}

// SetAll adds every row.
func (b *Bitmap) SetAll() {
	for i := range b.words {
		b.words[i] = ^uint64(0)
	}
	if tail := b.n & 63; tail != 0 {
		b.words[len(b.words)-1] = 1<<tail - 1
	}
	b.count = b.n
}

// Clone returns a copy.
func (b *Bitmap) Clone() *Bitmap {
	return &Bitmap{words: slices.Clone(b.words), n: b.n, count: b.count}
}

// Grow returns a copy for rows below n, which is not less than Len.
func (b *Bitmap) Grow(n int) *Bitmap {
	g := NewBitmap(max(n, b.n))
	copy(g.words, b.words)
	g.count = b.count
	return g
}

// And removes the rows that are not in o.
func (b *Bitmap) And(o *Bitmap) {
	for i := range b.words {
		if i < len(o.words) {
			b.words[i] &= o.words[i]
		} else {
			b.words[i] = 0
		}
	}
	b.recount()
}

// AndNot removes the rows that are in o.
func (b *Bitmap) AndNot(o *Bitmap) {
	for i := range min(len(b.words), len(o.words)) {
		b.words[i] &^= o.words[i]
	}
	b.recount()
}

// Or adds the rows of o that are below Len.
func (b *Bitmap) Or(o *Bitmap) {
	for i := range min(len(b.words), len(o.words)) {
		b.words[i] |= o.words[i]
	}
	if tail := b.n & 63; tail != 0 {
		b.words[len(b.words)-1] &= 1<<tail - 1
	}
	b.recount()
}

// Rows yields the rows in ascending order.
func (b *Bitmap) Rows() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		if b == nil {
			return
		}
		for i, w := range b.words {
			for ; w != 0; w &= w - 1 {
				if !yield(uint32(i<<6 + bits.TrailingZeros64(w))) { //nolint:gosec // rows are below 2³²
					return
				}
			}
		}
	}
}

func (b *Bitmap) recount() {
	b.count = 0
	for _, w := range b.words {
		b.count += bits.OnesCount64(w)
	}
}

// word returns the i-th 64 rows; beyond the end there are none.
func (b *Bitmap) word(i int) uint64 {
	if b == nil || i >= len(b.words) {
		return 0
	}
	return b.words[i]
}

package ann

import (
	"iter"
	"math/bits"
	"slices"
)

// Bitmap is a set of rows, all of them within a range that is chosen when it is
// made. It knows how many it holds, which is what a search plans by. Not safe
// for concurrent change.
type Bitmap struct {
	words []uint64
	first int // the least row that may be in the set
	base  int // the first of words, counted from that of row 0
	n     int
	count int
}

// NewBitmap returns an empty set for rows below n.
func NewBitmap(n int) *Bitmap { return NewBitmapRange(0, n) }

// NewBitmapRange returns an empty set for the rows from first to below end. It
// takes memory for these alone, however many rows there are before them.
func NewBitmapRange(first, end int) *Bitmap {
	if first < 0 || first > end {
		panic("ann: no range of rows")
	}
	base := first >> 6
	return &Bitmap{words: make([]uint64, (end+63)>>6-base), first: first, base: base, n: end}
}

// Len returns the bound of the rows.
func (b *Bitmap) Len() int { return b.n }

// Count returns the number of rows in the set. Nil is an empty set.
func (b *Bitmap) Count() int {
	if b == nil {
		return 0
	}
	return b.count
}

// CountRange returns how many rows from first to below end are in the set.
func (b *Bitmap) CountRange(first, end int) int {
	if b == nil {
		return 0
	}
	if first <= b.first && end >= b.n {
		return b.count
	}
	count := 0
	for i := first >> 6; i<<6 < end; i++ {
		count += bits.OnesCount64(b.word(i) & rowsWithin(i, first, end))
	}
	return count
}

// countWords returns how many words CountRange goes through.
func (b *Bitmap) countWords(first, end int) int {
	if b == nil || first <= b.first && end >= b.n {
		return 0
	}
	return max(0, (end+63)>>6-first>>6)
}

// rowsWithin has the rows of the i-th 64 that lie from first to below end.
func rowsWithin(i, first, end int) uint64 {
	w := ^uint64(0)
	if skip := first - i<<6; skip > 0 {
		w <<= skip
	}
	if rest := end - i<<6; rest < 64 {
		w &= 1<<max(rest, 0) - 1
	}
	return w
}

// Has says whether row is in the set. A row out of its range is not; nil is an
// empty set.
func (b *Bitmap) Has(row uint32) bool {
	if b == nil {
		return false
	}
	i := uint(int(row>>6) - b.base) // below base it becomes too large
	return i < uint(len(b.words)) && b.words[i]>>(row&63)&1 != 0
}

// Set adds row, which must be within the bitmap's range, and says whether it was
// missing.
func (b *Bitmap) Set(row uint32) bool {
	if int(row) < b.first || int(row) >= b.n {
		panic("ann: row beyond the bitmap")
	}
	w, bit := &b.words[int(row>>6)-b.base], uint64(1)<<(row&63)
	if *w&bit != 0 {
		return false
	}
	*w |= bit
	b.count++
	return true
}

// SetRange adds the rows from first to below end, which are within the bitmap's
// range. It takes a word at a time: a sorted column is a range of many rows.
func (b *Bitmap) SetRange(first, end int) {
	if first < b.first || first > end || end > b.n {
		panic("ann: rows beyond the bitmap")
	}
	for i := first >> 6; i<<6 < end; i++ {
		w, mask := &b.words[i-b.base], rowsWithin(i, first, end)
		b.count += bits.OnesCount64(mask &^ *w)
		*w |= mask
	}
}

// Unset removes row and says whether it was there.
func (b *Bitmap) Unset(row uint32) bool {
	if !b.Has(row) {
		return false
	}
	b.words[int(row>>6)-b.base] &^= 1 << (row & 63)
	b.count--
	return true
}

// SetAll adds every row of the bitmap's range.
func (b *Bitmap) SetAll() { b.SetRange(b.first, b.n) }

// Clone returns a copy.
func (b *Bitmap) Clone() *Bitmap {
	c := *b
	c.words = slices.Clone(b.words)
	return &c
}

// Grow returns a copy for rows up to below n, which is not less than Len.
func (b *Bitmap) Grow(n int) *Bitmap {
	g := NewBitmapRange(b.first, max(n, b.n))
	copy(g.words, b.words)
	g.count = b.count
	return g
}

// And removes the rows that are not in o.
func (b *Bitmap) And(o *Bitmap) {
	for i := range b.words {
		b.words[i] &= o.word(b.base + i)
	}
	b.recount()
}

// AndNot removes the rows that are in o.
func (b *Bitmap) AndNot(o *Bitmap) {
	for i := range b.words {
		b.words[i] &^= o.word(b.base + i)
	}
	b.recount()
}

// Or adds the rows of o that are within the range of b.
func (b *Bitmap) Or(o *Bitmap) {
	for i := range b.words {
		b.words[i] |= o.word(b.base+i) & rowsWithin(b.base+i, b.first, b.n)
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
				if !yield(uint32((b.base+i)<<6 + bits.TrailingZeros64(w))) { //nolint:gosec // rows are below 2³²
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

// word returns the i-th 64 rows, counted from row 0; out of the range there are
// none.
func (b *Bitmap) word(i int) uint64 {
	if b == nil || uint(i-b.base) >= uint(len(b.words)) { // below base it becomes too large
		return 0
	}
	return b.words[i-b.base]
}

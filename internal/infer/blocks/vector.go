package blocks

import (
	"fmt"
	"unsafe"
)

// Vector is activations in 8 bits, ready to be multiplied with.
type Vector struct {
	q     []int8
	scale []float32 // of each 32
	sums  []int32   // of each 16 of q
	// packs has the vector once for each type, as its inner loop wants it.
	q4  []packQ4
	q8  []packQ8
	q4k []packQ4K
	q6k []packQ6K
}

// The packs are units of inner loops: activations in the order in which weights
// come out of their blocks, with scales and corrections spread to lanes.
type (
	packQ4 struct {
		q     [128]int8 // first halves of 4 blocks, then second halves
		begin [16]int32 // -8 times the sum of a block, in one of its 4 lanes
		scale [16]float32
	}
	packQ8 struct {
		q     [64]int8
		begin [16]int32 // -128 times the sum of a block, in one of its 8 lanes
		scale [16]float32
	}
	packQ4K struct {
		q [256]int8 // groups 0 2 1 3 4 6 5 7
		// scale has the groups' scales 0 to 3, their negative sums, then those of 4
		// to 7.
		scale [16]float32
	}
	packQ6K struct {
		q     [256]int8
		scale [16]float32 // of the groups of 16
		begin [16]float32 // -32 times their sums
	}
)

// unit is how many numbers of a row an inner loop takes at a time.
func (t Type) unit() int {
	switch t { //nolint:exhaustive // the others have no inner loop
	case Q4:
		return 128
	case Q8:
		return 64
	case Q4K, Q6K:
		return 256
	default:
		panic("blocks: no products of type " + t.String())
	}
}

// Set quantises x, whose length is a multiple of 32, for products with matrices
// of these types.
func (v *Vector) Set(x []float32, types ...Type) {
	n := len(x)
	if n == 0 || n%32 != 0 {
		panic(fmt.Sprintf("blocks: a vector of %d numbers is not a multiple of 32", n))
	}
	v.q, v.scale, v.sums = sized(v.q, n), sized(v.scale, n/32), sized(v.sums, n/16)
	active.quantize(&v.q[0], &v.scale[0], &v.sums[0], &x[0], n/32)
	v.q4, v.q8, v.q4k, v.q6k = v.q4[:0], v.q8[:0], v.q4k[:0], v.q6k[:0]
	if active.dot == nil {
		return
	}
	for _, t := range types {
		v.pack(t)
	}
}

func (v *Vector) pack(t Type) {
	n := len(v.q) / t.unit()
	switch t { //nolint:exhaustive // unit has panicked
	case Q4:
		v.q4 = sized(v.q4, n)
		for i := range v.q4 {
			v.packQ4(&v.q4[i], i)
		}
	case Q8:
		v.q8 = sized(v.q8, n)
		for i := range v.q8 {
			p := &v.q8[i]
			p.q = [64]int8(v.q[64*i:])
			for b := range 2 {
				p.begin[8*b] = -128 * (v.sums[4*i+2*b] + v.sums[4*i+2*b+1])
				for l := range 8 {
					p.scale[8*b+l] = v.scale[2*i+b]
				}
			}
		}
	case Q4K:
		v.q4k = sized(v.q4k, n)
		for i := range v.q4k {
			v.packQ4K(&v.q4k[i], i)
		}
	case Q6K:
		v.q6k = sized(v.q6k, n)
		for i := range v.q6k {
			p := &v.q6k[i]
			p.q = [256]int8(v.q[256*i:])
			for g := range 16 {
				p.scale[g], p.begin[g] = v.scale[8*i+g/2], -32*float32(v.sums[16*i+g])
			}
		}
	}
}

func (v *Vector) packQ4(p *packQ4, i int) {
	for b := range 4 {
		q := v.q[128*i+32*b:]
		*(*[16]int8)(p.q[16*b:]) = [16]int8(q)
		*(*[16]int8)(p.q[64+16*b:]) = [16]int8(q[16:])
		p.begin[4*b] = -8 * (v.sums[8*i+2*b] + v.sums[8*i+2*b+1])
		s := v.scale[4*i+b]
		*(*[4]float32)(p.scale[4*b:]) = [4]float32{s, s, s, s}
	}
}

func (v *Vector) packQ4K(p *packQ4K, i int) {
	for at, g := range [8]int{0, 2, 1, 3, 4, 6, 5, 7} {
		*(*[32]int8)(p.q[32*at:]) = [32]int8(v.q[256*i+32*g:])
		s := v.scale[8*i+g]
		lane := g%4 + g/4*8
		p.scale[lane] = s
		p.scale[lane+4] = -s * float32(v.sums[16*i+2*g]+v.sums[16*i+2*g+1])
	}
}

// packed returns the units of the vector for type t.
func (v *Vector) packed(t Type) (first *byte, units int) {
	switch t { //nolint:exhaustive // the rest has none
	case Q4:
		return at(v.q4), len(v.q4)
	case Q8:
		return at(v.q8), len(v.q8)
	case Q4K:
		return at(v.q4k), len(v.q4k)
	case Q6K:
		return at(v.q6k), len(v.q6k)
	}
	return nil, 0
}

func at[T any](s []T) *byte { return (*byte)(unsafe.Pointer(unsafe.SliceData(s))) }

// sized returns s with n elements, of whatever value.
func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

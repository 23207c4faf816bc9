package ann

import (
	"bytes"
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/selvage-dev/selvage/internal/ann/simd"
)

// termBytes is what a row has before its code: scale and offset, float32 each.
// They lie together because both are needed at once: one place in memory to
// wait for instead of two.
const termBytes = 8

// codes are quantised vectors, and estimate from them how near a query is.
//
// A vector x (of length one with cosine) is kept as r = x - center, on levels
// of a step of its own. With y the levels,
//
//	<q,x> = <q,center> + <center,r> + <q-center,r>
//
// where the first term is the same for all rows and left out, the second is the
// row's offset, and the third is estimated as <q-center,y>·|r|²/<y,r>. That
// factor, the row's scale, makes the estimate right on average over directions
// of q, which the plain product is not (Gao and Long, RaBitQ, SIGMOD 2024). For
// distances the offset has -|x|²/2 too, so that more is nearer for every
// metric.
type codes struct {
	dim    int
	padded int // dim in whole blocks
	bits   int // 4 or 8
	stride int
	data   []byte
	center []float32
}

func newCodes(dim, bits int, center []float32) *codes {
	padded := (dim + simd.Block - 1) / simd.Block * simd.Block
	return &codes{dim: dim, padded: padded, bits: bits, stride: termBytes + padded*bits/8, center: center}
}

// size returns the bytes of n rows.
func (c *codes) size(n int) int { return n * c.stride }

// terms returns the scale and offset of row.
func (c *codes) terms(row uint32) *[2]float32 {
	at := int(row) * c.stride
	return (*[2]float32)(unsafe.Pointer(unsafe.SliceData(c.data[at : at+termBytes]))) //nolint:gosec // rows begin at multiples of 8
}

// only returns the codes of some rows, one after the other.
func (c *codes) only(rows []uint32) *codes {
	some := *c
	some.data = make([]byte, 0, len(rows)*c.stride)
	for _, row := range rows {
		some.data = append(some.data, c.data[int(row)*c.stride:int(row+1)*c.stride]...)
	}
	return &some
}

// half is the distance from a level to zero that a code of all zero bits has:
// levels are code less half.
func (c *codes) half() float32 {
	if c.bits == 4 {
		return 7.5
	}
	return 128
}

// codedQuery is a query as codes are compared with it.
type codedQuery struct {
	levels []int8 // padded with zeros
	scale  float32
	zero   float32 // what the codes' half adds to a product
	rest   []float32
	dots   []int32

	// To sum up levels as fast as they are multiplied: by ones, as row 0.
	ones   []byte
	sum    [1]int32
	sumRow [1]uint32
}

// query sets q to a query vector, which has length one with cosine. It has
// eight bits: the error is in the rows' codes.
func (c *codes) query(q *codedQuery, v []float32) {
	q.fit(c)
	rest, center, top := q.rest[:len(v)], c.center[:len(v)], uint32(0)
	for i, x := range v {
		r := x - center[i]
		rest[i] = r
		// As whole numbers, floats without sign have the same order, and the larger
		// of two is found without a branch.
		top = max(top, math.Float32bits(r)&^(1<<31))
	}
	most := math.Float32frombits(top)
	if most == 0 {
		clear(q.levels)
		q.scale, q.zero = 0, 0
		return
	}
	inv, sum := 127/most, int32(0)
	levels := q.levels[:len(rest)]
	for i, r := range rest {
		level := round(r * inv)
		levels[i] = int8(level) //nolint:gosec // -127 to 127 by the choice of inv
		sum += level
	}
	q.scale, q.zero = most/127, c.half()*float32(sum)
}

// fit makes room for a query.
func (q *codedQuery) fit(c *codes) {
	if len(q.levels) != c.padded || len(q.rest) != c.dim {
		q.levels, q.rest = make([]int8, c.padded), make([]float32, c.dim)
		q.ones = bytes.Repeat([]byte{1}, c.padded)
	}
}

// round returns the whole number nearest to x, which is small. A float32 of
// this size has no bits for fractions: adding it rounds, without a branch on
// the sign, which is as good as random here.
func round(x float32) int32 {
	const whole = 3 << 22
	return int32(math.Float32bits(x+whole)) - int32(0x4b400000) //nolint:gosec // the bits of whole, and x beside them
}

// products sets dst[i] to the estimate of <q-center,r> of rows[i], without the
// row's scale.
func (c *codes) products(dst []float32, q *codedQuery, rows []uint32) {
	if cap(q.dots) < len(rows) {
		q.dots = make([]int32, 2*len(rows))
	}
	dots := q.dots[:len(rows)]
	if c.bits == 4 {
		simd.DotU4Rows(dots, q.levels, c.data[termBytes:], c.stride, rows)
	} else {
		simd.DotU8Rows(dots, q.levels, c.data[termBytes:], c.stride, rows)
	}
	for i, d := range dots {
		dst[i] = (float32(d) - q.zero) * q.scale //nolint:gosec // as many as rows
	}
}

// rank sets dst[i] to how near rows[i] is to the query: more is nearer.
func (c *codes) rank(dst []float32, q *codedQuery, rows []uint32) {
	c.products(dst, q, rows)
	for i, row := range rows {
		t := c.terms(row)
		dst[i] = dst[i]*t[0] + t[1]
	}
}

// row sets q to a row's own code, to compare it with others.
func (c *codes) row(q *codedQuery, row uint32) {
	q.fit(c)
	at := int(row)*c.stride + termBytes
	code := c.data[at : at+c.padded*c.bits/8]
	levels := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(q.levels))), len(q.levels)) //nolint:gosec // the slice's own memory
	if c.bits == 4 {
		decode4(levels, code)
		q.scale = c.terms(row)[0] / 2 // Levels are doubled, to be whole.
	} else {
		for i := 0; i < len(code); i += 8 {
			binary.LittleEndian.PutUint64(levels[i:], binary.LittleEndian.Uint64(code[i:])^0x8080808080808080)
		}
		q.scale = c.terms(row)[0]
	}
	clear(q.levels[c.dim:])
	simd.DotU8Rows(q.sum[:], q.levels, q.ones, 0, q.sumRow[:])
	q.zero = c.half() * float32(q.sum[0])
}

// decode4 sets levels to twice the levels of a 4-bit code, eight at a time: in
// each byte, twice the code less 15.
func decode4(levels, code []byte) {
	const low, bias, sign = 0x0f0f0f0f0f0f0f0f, 0x7171717171717171, 0x8080808080808080
	for b := 0; b < len(code); b += simd.Block / 2 {
		to := levels[2*b : 2*b+simd.Block]
		for i := 0; i < simd.Block/2; i += 8 {
			w := binary.LittleEndian.Uint64(code[b+i:])
			binary.LittleEndian.PutUint64(to[i:], ((w&low)<<1+bias)^sign)
			binary.LittleEndian.PutUint64(to[simd.Block/2+i:], ((w>>4&low)<<1+bias)^sign)
		}
	}
}

// encode writes the code of row, whose vector is v; rest is memory of dim
// numbers. It returns |r|².
func (c *codes) encode(row uint32, v, rest []float32, m Metric) float32 {
	var square, most, rr, offset float32
	for i, x := range v {
		r := x - c.center[i]
		rest[i] = r
		most = max(most, r, -r)
		square += x * x
		rr += r * r
		offset += c.center[i] * r
	}
	if m == Euclidean {
		offset -= square / 2
	}
	at := int(row)*c.stride + termBytes
	code := c.data[at : at+c.padded*c.bits/8]
	var along float32 // <y,r>
	if c.bits == 4 {
		along = c.encode4(code, rest, most)
	} else {
		along = c.encode8(code, rest, most)
	}
	t := c.terms(row)
	t[0], t[1] = 0, offset
	if along > 0 {
		t[0] = rr / along
	}
	return rr
}

func (c *codes) encode8(code []byte, rest []float32, most float32) (along float32) {
	inv := float32(0)
	if most > 0 {
		inv = 127 / most
	}
	for i := range code {
		code[i] = 128
	}
	for i, r := range rest {
		level := round(r * inv)
		code[i] = byte(level + 128) //nolint:gosec // 1 to 255
		along += float32(level) * r
	}
	return along
}

// encode4 tries some steps: with a large one the many small values are lost,
// with a small one the few large values are cut off. The best has the smallest
// angle to r.
func (c *codes) encode4(code []byte, rest []float32, most float32) (along float32) {
	var inv, best float32
	if most > 0 {
		for _, share := range [...]float32{1, 0.86, 0.74, 0.63, 0.53, 0.44} {
			try := 7.5 / (most * share)
			var dot, yy float32
			for _, r := range rest {
				y := level4(r*try) - 7.5
				dot += r * y
				yy += y * y
			}
			if cos := dot / float32(math.Sqrt(float64(yy))); cos > best {
				inv, best, along = try, cos, dot
			}
		}
	}
	for b := 0; b < len(code); b += simd.Block / 2 {
		for i := range simd.Block / 2 {
			var lo, hi float32
			if j := 2*b + i; j < len(rest) {
				lo = rest[j]
			}
			if j := 2*b + simd.Block/2 + i; j < len(rest) {
				hi = rest[j]
			}
			code[b+i] = byte(level4(lo*inv)) | byte(level4(hi*inv))<<4
		}
	}
	return along
}

// level4 returns the 4-bit code, 0 to 15, of x in steps.
func level4(x float32) float32 {
	return float32(int32(max(0, min(15, x+8))))
}

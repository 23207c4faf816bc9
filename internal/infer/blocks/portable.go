package blocks

import (
	"math"
	"unsafe"
)

// The portable versions are the definition of what each operation does; those
// in assembly are tested against them.

func portable() set {
	return set{
		name:       "portable",
		few:        1,
		open:       openGo,
		interleave: interleaveGo,
		panels:     []panel{{1, panelGo}},
		halves:     []halfTile{{1, halfGo}},
		quantize:   quantizeGo,
		swiglu:     swigluGo,
		toHalf:     toHalfGo,
	}
}

// dotGo is the product of a row that begins with this block of numbers with those of v
// from number i on.
func dotGo(t Type, row []byte, v *Vector, i int) float32 {
	l := t.known()
	var b block
	var sum float32
	for ; i < len(v.q); i, row = i+l.numbers, row[l.bytes:] {
		b.read(t, row)
		for g := 0; g*b.group < l.numbers; g++ {
			var dot, all int32
			q := b.q[g*b.group : (g+1)*b.group]
			for j, a := range v.q[i+g*b.group : i+(g+1)*b.group] {
				dot += int32(q[j]) * int32(a)
				all += int32(a)
			}
			sum += v.scale[(i+g*b.group)/32] * (b.scale[g]*float32(dot) - b.least[g]*float32(all))
		}
	}
	return sum
}

func openGo(t Type, src *byte, units int, q *uint8, scale, least *float32, _ int) {
	l := t.known()
	rest, out := unsafe.Slice(src, units*l.bytes), unsafe.Slice(q, units*l.numbers)
	var b block
	at := 0
	for ; len(rest) > 0; rest, out = rest[l.bytes:], out[l.numbers:] {
		b.read(t, rest)
		copy(out, b.q[:l.numbers])
		for g := range l.numbers / b.group {
			*(*float32)(unsafe.Add(unsafe.Pointer(scale), at)) = b.scale[g]
			*(*float32)(unsafe.Add(unsafe.Pointer(least), at)) = -b.least[g]
			at += 4 * Cols
		}
	}
}

func interleaveGo(dst, src *uint8, stride, n int) {
	for r := range 16 {
		row := unsafe.Slice((*uint32)(unsafe.Add(unsafe.Pointer(src), r*stride)), 16*n)
		for k, v := range row {
			*(*uint32)(unsafe.Add(unsafe.Pointer(dst), 4*Cols*k+4*r)) = v
		}
	}
}

func panelGo(a *int8, _ int, scale *float32, _ int, b *uint8, weights *float32, groups, steps int, c *float32, _ int) {
	out := (*[Cols]float32)(unsafe.Pointer(c))
	for g := range groups {
		var acc [Cols]int32
		for s := range steps {
			k := g*steps + s
			x := (*[4]int8)(unsafe.Add(unsafe.Pointer(a), 4*k))
			w := (*[4 * Cols]uint8)(unsafe.Add(unsafe.Pointer(b), 4*Cols*k))
			for n := range acc {
				acc[n] += int32(x[0])*int32(w[4*n]) + int32(x[1])*int32(w[4*n+1]) + int32(x[2])*int32(w[4*n+2]) + int32(x[3])*int32(w[4*n+3])
			}
		}
		s := *(*float32)(unsafe.Add(unsafe.Pointer(scale), 4*g))
		w := (*[Cols]float32)(unsafe.Add(unsafe.Pointer(weights), 4*Cols*g))
		for n, v := range acc {
			out[n] += float32(v) * w[n] * s
		}
	}
}

func halfGo(a *float32, _ int, b *uint16, ldb, k int, c *float32, _ int, fresh bool) { //nolint:revive // see halfTile
	out := (*[Cols]float32)(unsafe.Pointer(c))
	var acc [Cols]float32
	if !fresh {
		acc = *out
	}
	for i, x := range unsafe.Slice(a, k) {
		row := (*[Cols]uint16)(unsafe.Add(unsafe.Pointer(b), i*ldb))
		for n, w := range row {
			acc[n] += x * FromHalf(w)
		}
	}
	*out = acc
}

// magic is a number whose last bit is 1.
const magic = 1.5 * (1 << 23)

func quantizeGo(q *int8, scale *float32, sums *int32, x *float32, n int) {
	for g := range n {
		xs := (*[32]float32)(unsafe.Add(unsafe.Pointer(x), 128*g))
		qs := (*[32]int8)(unsafe.Add(unsafe.Pointer(q), 32*g))
		two := (*[2]int32)(unsafe.Add(unsafe.Pointer(sums), 8*g))
		var most float32
		for _, v := range xs {
			most = max(most, v, -v)
		}
		var inv float32
		if most > 0 {
			inv = 127 / most
		}
		*two = [2]int32{}
		for i, v := range xs {
			// Adding what leaves no room for a fraction rounds, ties to even.
			qs[i] = int8(math.Float32bits(v*inv+magic) & 0xff) //nolint:gosec // the low byte is the number
			two[i/16] += int32(qs[i])
		}
		*(*float32)(unsafe.Add(unsafe.Pointer(scale), 4*g)) = most / 127
	}
}

func swigluGo(dst, gate, up *float32, n int) {
	d, g, u := unsafe.Slice(dst, n), unsafe.Slice(gate, n), unsafe.Slice(up, n)
	for i, x := range g {
		d[i] = x / (1 + float32(math.Exp(float64(-x)))) * u[i]
	}
}

func toHalfGo(dst *uint16, x *float32, n int) {
	d := unsafe.Slice(dst, n)
	for i, v := range unsafe.Slice(x, n) {
		d[i] = ToHalf(v)
	}
}

package kernels

import (
	"math"
	"unsafe"
)

// These are the portable versions of what attention in 16 bits does.

func int16Go(a *int16, _ int, b *int16, k2 int, c *int32) {
	as, bs := unsafe.Slice(a, 2*k2), unsafe.Slice(b, 2*k2*Cols)
	out := (*[Cols]int32)(unsafe.Pointer(c))
	*out = [Cols]int32{}
	for k := range k2 {
		x, y := int32(as[2*k]), int32(as[2*k+1])
		row := (*[2 * Cols]int16)(bs[2*k*Cols:])
		for n := range out {
			out[n] += x*int32(row[2*n]) + y*int32(row[2*n+1])
		}
	}
}

// word rounds to 16 bits, ties to even.
func word(x float32) int16 {
	return int16(max(math.MinInt16, min(math.MaxInt16, math.RoundToEven(float64(x)))))
}

func quantize16Go(dst *int16, x *float32, rows, ld, n int, most float32, scale *float32) {
	d, scales := unsafe.Slice(dst, rows*n), unsafe.Slice(scale, rows)
	for r := range rows {
		xs := unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(x), r*ld)), n)
		var m, inverse float32
		for _, v := range xs {
			m = max(m, v, -v)
		}
		if m > 0 {
			inverse = most / m
		}
		for i, v := range xs {
			d[r*n+i] = word(v * inverse)
		}
		scales[r] = m / most
	}
}

func transposeGo(dst *int32, ldDst int, src *int32, ldSrc int) {
	for i := range 16 {
		row := unsafe.Slice((*int32)(unsafe.Add(unsafe.Pointer(src), i*ldSrc)), 16)
		for j, v := range row {
			*(*int32)(unsafe.Add(unsafe.Pointer(dst), j*ldDst+4*i)) = v
		}
	}
}

func largestGo(dst, x *float32, rows, ld int) {
	out := (*[Cols]float32)(unsafe.Pointer(dst))
	*out = [Cols]float32{}
	for r := range rows {
		for i, v := range (*[Cols]float32)(unsafe.Add(unsafe.Pointer(x), r*ld)) {
			out[i] = max(out[i], v, -v)
		}
	}
}

func pairsGo(dst *int16, x *float32, rows, ld int, factor *float32) {
	d, f := unsafe.Slice(dst, (rows+1)/2*2*Cols), (*[Cols]float32)(unsafe.Pointer(factor))
	if rows%2 != 0 {
		clear(d[len(d)-2*Cols:])
	}
	for r := range rows {
		for i, v := range (*[Cols]float32)(unsafe.Add(unsafe.Pointer(x), r*ld)) {
			d[r/2*2*Cols+2*i+r%2] = word(v * f[i])
		}
	}
}

func softmax16Go(dst *int16, x *float32, n int, scale, most float32) float32 {
	d, xs := unsafe.Slice(dst, n), unsafe.Slice(x, n)
	m := float32(math.Inf(-1))
	for _, v := range xs {
		m = max(m, v)
	}
	var sum float32
	for i, v := range xs {
		xs[i] = float32(math.Exp(float64((v - m) * scale)))
		sum += xs[i]
	}
	g := min(math.MaxInt16, most/sum)
	for i, v := range xs {
		d[i] = word(v * g)
	}
	return 1 / (g * sum)
}

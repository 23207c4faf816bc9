package kernels

import (
	"math"
	"unsafe"
)

// The portable versions are the definition of what each operation does; those
// in assembly are tested against them.

func portable() set {
	return set{
		name:       "portable",
		int8:       []tileInt8{{rows: 1, run: int8Go}},
		int16:      []tileInt16{{rows: 1, run: int16Go}},
		float32:    []tileFloat32{{rows: 1, run: float32Go}},
		quantize16: quantize16Go,
		transpose:  transposeGo,
		largest:    largestGo,
		pairs:      pairsGo,
		softmax16:  softmax16Go,
		quantize:   quantizeGo,
		layerNorm:  layerNormGo,
		softmax:    softmaxGo,
		finish:     finishGo,
	}
}

func int8Go(a *uint8, _ int, b *int8, _ *int32, k4 int, c *int32, _ *int8) {
	as, bs := unsafe.Slice(a, 4*k4), unsafe.Slice(b, 4*k4*Cols)
	out := (*[Cols]int32)(unsafe.Pointer(c))
	*out = [Cols]int32{}
	for k := range k4 {
		x := [4]int32{int32(as[4*k]) - 128, int32(as[4*k+1]) - 128, int32(as[4*k+2]) - 128, int32(as[4*k+3]) - 128}
		row := (*[4 * Cols]int8)(bs[4*k*Cols:])
		for n := range out {
			w := (*[4]int8)(row[4*n:])
			out[n] += x[0]*int32(w[0]) + x[1]*int32(w[1]) + x[2]*int32(w[2]) + x[3]*int32(w[3])
		}
	}
}

func float32Go(a *float32, _ int, b *float32, ldb, k int, c *float32, _ int) {
	var acc [Cols]float32
	for i, x := range unsafe.Slice(a, k) {
		row := (*[Cols]float32)(unsafe.Add(unsafe.Pointer(b), i*ldb))
		for n, w := range row {
			acc[n] += x * w
		}
	}
	*(*[Cols]float32)(unsafe.Pointer(c)) = acc
}

func quantizeGo(dst *uint8, x, mask *float32, n int) float32 {
	d, xs, ms := unsafe.Slice(dst, n), unsafe.Slice(x, n), unsafe.Slice(mask, n)
	var m float32
	for i, v := range xs {
		m = max(m, float32(math.Abs(float64(v*ms[i]))))
	}
	var inv float32
	if m > 0 {
		inv = 127 / m
	}
	for i, v := range xs {
		d[i] = uint8(round(v*ms[i]*inv)) ^ 0x80 //nolint:gosec // the same bits
	}
	return m / 127
}

func layerNormGo(dst, x, gain, bias *float32, n int, eps float32) {
	d, xs, g, b := unsafe.Slice(dst, n), unsafe.Slice(x, n), unsafe.Slice(gain, n), unsafe.Slice(bias, n)
	var sum, sq float32
	for _, v := range xs {
		sum += v
	}
	mean := sum / float32(n)
	for _, v := range xs {
		sq += (v - mean) * (v - mean)
	}
	inv := float32(1 / math.Sqrt(float64(sq/float32(n)+eps)))
	for i, v := range xs {
		d[i] = (v-mean)*inv*g[i] + b[i]
	}
}

func softmaxGo(x *float32, n int, scale float32) {
	xs := unsafe.Slice(x, n)
	m := float32(math.Inf(-1))
	for _, v := range xs {
		m = max(m, v)
	}
	var sum float32
	for i, v := range xs {
		e := float32(math.Exp(float64((v - m) * scale)))
		xs[i] = e
		sum += e
	}
	for i := range xs {
		xs[i] /= sum
	}
}

func finishGo(f *finish) {
	for r := range f.rows {
		bias := (*[Cols]float32)(f.bias)
		dst := (*[Cols]float32)(unsafe.Add(f.dst, r*f.ldDst))
		var v [Cols]float32
		if f.flags&flagFloat != 0 {
			v = *(*[Cols]float32)(unsafe.Add(f.tile, r*Cols*4))
		} else {
			scale, cols := *(*float32)(unsafe.Add(f.rowScale, r*4)), (*[Cols]float32)(f.colScale)
			for j, q := range (*[Cols]int32)(unsafe.Add(f.tile, r*Cols*4)) {
				v[j] = float32(q) * (scale * cols[j])
			}
		}
		for j := range v {
			v[j] += bias[j]
			if f.extra != nil {
				v[j] += (*[Cols]float32)(unsafe.Add(f.extra, r*Cols*4))[j]
			}
			if f.flags&flagGELU != 0 {
				v[j] = gelu(v[j])
			}
			if f.residual != nil {
				v[j] += (*[Cols]float32)(unsafe.Add(f.residual, r*f.ldResidual))[j]
			}
		}
		*dst = v
	}
}

func gelu(x float32) float32 {
	return float32(0.5 * float64(x) * (1 + math.Erf(float64(x)/math.Sqrt2)))
}

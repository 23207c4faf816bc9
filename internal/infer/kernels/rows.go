package kernels

import "fmt"

// Quantize sets dst to x·mask in 8 bits with 128 added, and returns the scale:
// x[i]·mask[i] is about (dst[i]-128)·scale. A row of zeros has the scale 0.
// Lengths are equal and a multiple of [Lanes]. A NaN or an infinity gives an
// arbitrary byte.
func Quantize(dst []uint8, x, mask []float32) float32 {
	check(len(x))
	dst, mask = dst[:len(x)], mask[:len(x)]
	return active.quantize(&dst[0], &x[0], &mask[0], len(x))
}

// LayerNorm sets dst to (x-mean)/sqrt(variance+eps)·gain + bias, in
// place if dst is x.
func LayerNorm(dst, x, gain, bias []float32, eps float32) {
	check(len(x))
	dst, gain, bias = dst[:len(x)], gain[:len(x)], bias[:len(x)]
	active.layerNorm(&dst[0], &x[0], &gain[0], &bias[0], len(x), eps)
}

// Softmax replaces x by exp(x·scale - max) over the sum of these. The
// scale is positive. An element of -1e30 becomes nearly zero, which is how a row is
// padded to a multiple of [Lanes].
func Softmax(x []float32, scale float32) {
	check(len(x))
	active.softmax(&x[0], len(x), scale)
}

func check(n int) {
	if n == 0 || n%Lanes != 0 {
		panic(fmt.Sprintf("kernels: a row of %d numbers is not a multiple of %d", n, Lanes))
	}
}

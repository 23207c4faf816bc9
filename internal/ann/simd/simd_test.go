package simd

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

// guarded returns n bytes that begin at any address and end where other data
// begins, so that what a kernel reads beyond changes its answer.
func guarded(rng *rand.Rand, n int) []byte {
	whole := make([]byte, n+256)
	for i := range whole {
		whole[i] = byte(rng.Uint32())
	}
	at := rng.IntN(64)
	return whole[at : at+n : at+n]
}

func randomInt8(rng *rand.Rand, n int) []int8 {
	q := make([]int8, n)
	for i := range q {
		q[i] = int8(rng.IntN(256) - 128)
	}
	return q
}

// eachKernel runs f for all but the portable kernels, and fails where there are
// none though the processor is one we wrote some for.
func eachKernel(t *testing.T, f func(t *testing.T, k kernels)) {
	t.Helper()
	ks := usable()
	if len(ks) == 1 {
		t.Fatalf("this processor runs only the portable kernels, which then have nothing to be compared with")
	}
	for _, k := range ks[:len(ks)-1] {
		t.Run(k.name, func(t *testing.T) { f(t, k) })
	}
}

// compareRows compares the integer kernels on rows scattered over data.
func compareRows(t *testing.T, k kernels, rng *rand.Rand, dims, rows int) {
	t.Helper()
	q := randomInt8(rng, dims)
	pad := rng.IntN(3) * 13
	for _, c := range []struct {
		name       string
		size       int
		is, should func(out *int32, q *int8, codes *byte, stride int, rows *uint32, n, dims int)
	}{{"u8", dims, k.dotU8, portable().dotU8}, {"u4", dims / 2, k.dotU4, portable().dotU4}} {
		stride := c.size + pad
		codes := guarded(rng, 50*stride)
		ids := make([]uint32, rows)
		for i := range ids {
			ids[i] = rng.Uint32N(50)
		}
		got, want := make([]int32, rows), make([]int32, rows)
		c.is(&got[0], &q[0], &codes[0], stride, &ids[0], rows, dims)
		c.should(&want[0], &q[0], &codes[0], stride, &ids[0], rows, dims)
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%s of %d dimensions, row %d of %d: %d, wanted %d", c.name, dims, i, rows, got[i], want[i])
			}
		}
	}
}

func TestIntegerKernels(t *testing.T) {
	eachKernel(t, func(t *testing.T, k kernels) {
		t.Helper()
		rng := rand.New(rand.NewPCG(1, 1))
		for dims := Block; dims <= 4096; dims += Block {
			for _, rows := range []int{1, 2, 5, 6, 7, 33} {
				compareRows(t, k, rng, dims, rows)
			}
		}
	})
}

// TestExtremes has the largest numbers everywhere, which is where sums of 16
// bits would overflow.
func TestExtremes(t *testing.T) {
	eachKernel(t, func(t *testing.T, k kernels) {
		t.Helper()
		const dims = 4096
		for _, x := range []int8{-128, 127} {
			q, codes := make([]int8, dims), make([]byte, dims)
			for i := range q {
				q[i], codes[i] = x, 255
			}
			row, out := []uint32{0}, []int32{0}
			k.dotU8(&out[0], &q[0], &codes[0], dims, &row[0], 1, dims)
			if want := int32(x) * 255 * dims; out[0] != want {
				t.Errorf("u8: %d, wanted %d", out[0], want)
			}
			k.dotU4(&out[0], &q[0], &codes[0], dims/2, &row[0], 1, dims)
			if want := int32(x) * 15 * dims; out[0] != want {
				t.Errorf("u4: %d, wanted %d", out[0], want)
			}
		}
	})
}

// compareFloats compares with sums in float64. The bound is what adding n
// numbers of these sizes one after the other can lose.
func compareFloats(t *testing.T, k kernels, a, b []float32) {
	t.Helper()
	var dot, l2, dotAbs float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		dot, dotAbs, l2 = dot+x*y, dotAbs+math.Abs(x*y), l2+(x-y)*(x-y)
	}
	bound := float64(len(a)+4) / (1 << 24)
	if got := float64(k.dotF32(&a[0], &b[0], len(a))); math.Abs(got-dot) > bound*dotAbs+1e-30 {
		t.Errorf("dot of %d: %g, wanted %g", len(a), got, dot)
	}
	if got := float64(k.l2F32(&a[0], &b[0], len(a))); math.Abs(got-l2) > 3*bound*l2+1e-30 {
		t.Errorf("l2 of %d: %g, wanted %g", len(a), got, l2)
	}
}

func TestFloatKernels(t *testing.T) {
	for _, k := range usable() {
		t.Run(k.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(2, 2))
			a, b := make([]float32, 4200), make([]float32, 4200)
			for i := range a {
				a[i], b[i] = float32(rng.NormFloat64()), float32(rng.NormFloat64())
			}
			for n := 1; n <= 4096; n++ {
				x, y := rng.IntN(100), rng.IntN(100)
				compareFloats(t, k, a[x:x+n], b[y:y+n])
			}
		})
	}
}

func TestRowsOutside(t *testing.T) {
	q, codes, out := make([]int8, Block), make([]byte, 10*Block), make([]int32, 2)
	DotU8Rows(out, q, codes, Block, []uint32{0, 9})
	DotU4Rows(out, q, codes, Block/2, []uint32{0, 19})
	for name, f := range map[string]func(){
		"row":     func() { DotU8Rows(out, q, codes, Block, []uint32{0, 10}) },
		"row u4":  func() { DotU4Rows(out, q, codes, Block/2, []uint32{20}) },
		"out":     func() { DotU8Rows(out[:1:1], q, codes, Block, []uint32{0, 1}) },
		"blocks":  func() { DotU8Rows(out, q[:100], codes, Block, []uint32{0}) },
		"nothing": func() { DotU4Rows(out, nil, codes, Block, []uint32{0}) },
		"float":   func() { DotF32(make([]float32, 5), make([]float32, 4)) },
		"l2":      func() { L2F32(make([]float32, 5), make([]float32, 4)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: what lies outside was read", name)
				}
			}()
			f()
		}()
	}
	if DotF32(nil, nil) != 0 || L2F32(nil, nil) != 0 {
		t.Error("nothing has a sum")
	}
}

func FuzzFloatKernels(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), uint16(3))
	f.Fuzz(func(t *testing.T, data []byte, at uint16) {
		n := min(len(data)/8, 4096)
		if n == 0 {
			return
		}
		a, b := make([]float32, n+64), make([]float32, n+64)
		x := int(at) % 64
		for i := range n {
			// Any bits, scaled so that no sum leaves float32.
			a[x+i] = float32(int32(binary.LittleEndian.Uint32(data[8*i:]))) / (1 << 24)
			b[i] = float32(int32(binary.LittleEndian.Uint32(data[8*i+4:]))) / (1 << 24)
		}
		for _, k := range usable() {
			compareFloats(t, k, a[x:x+n], b[:n])
		}
	})
}

func FuzzIntegerKernels(f *testing.F) {
	f.Add(uint64(1), uint8(6), uint8(9))
	f.Fuzz(func(t *testing.T, seed uint64, blocks, rows uint8) {
		rng := rand.New(rand.NewPCG(seed, 0))
		for _, k := range usable() {
			compareRows(t, k, rng, Block*(1+int(blocks)%32), 1+int(rows))
		}
	})
}

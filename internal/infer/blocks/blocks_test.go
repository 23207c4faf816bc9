package blocks

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"
)

var quantized = []Type{Q4, Q8, Q4K, Q6K}

// randomRows makes rows of valid blocks of any bits, with scales of a usual size.
func randomRows(r *rand.Rand, t Type, in, out int) []byte {
	b := make([]byte, out*t.RowBytes(in))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	l := t.known()
	for at := 0; at < len(b); at += l.bytes {
		set := func(i int, f float64) {
			h := ToHalf(float32(f))
			b[at+i], b[at+i+1] = byte(h), byte(h>>8)
		}
		switch t { //nolint:exhaustive // the others have no blocks
		case Q4, Q8:
			set(0, r.NormFloat64()*0.01)
		case Q4K:
			set(0, r.Float64()*0.001)
			set(2, r.Float64()*0.001)
		case Q6K:
			set(208, r.NormFloat64()*0.001)
		}
	}
	return b
}

func randomVector(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
		if i%37 == 0 {
			x[i] *= 20
		}
	}
	return x
}

// each runs f with every implementation that this processor has.
func each(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	kept := active
	defer func() { active = kept }()
	for _, s := range usable() {
		active = s
		t.Run(s.name, f)
	}
}

// product is what a row's product with quantised activations is, in float64.
func product(t Type, row []byte, q []int8, scale []float32) (sum, size float64) {
	w := make([]float32, len(q))
	t.Floats(w, row)
	for i, x := range w {
		p := float64(x) * float64(q[i]) * float64(scale[i/32])
		sum += p
		size += math.Abs(p)
	}
	return sum, size
}

func TestMulVector(t *testing.T) {
	each(t, func(t *testing.T) {
		t.Helper()
		r := rand.New(rand.NewPCG(1, 2))
		for _, typ := range quantized {
			for _, in := range []int{64, 192, 256, 576, 768, 1536} {
				if in%typ.Block() != 0 {
					continue
				}
				const out = 37
				m := New(typ, in, out, randomRows(r, typ, in, out))
				var v Vector
				v.Set(randomVector(r, in), typ)
				dst := make([]float32, out)
				for i := range dst {
					dst[i] = 1e9
				}
				m.MulVector(dst, 0, 20, &v)
				if dst[20] != 1e9 {
					t.Fatalf("%s: a row beyond was written", typ)
				}
				m.MulVector(dst, 20, out, &v)
				for i, got := range dst {
					want, size := product(typ, m.Data[i*typ.RowBytes(in):][:typ.RowBytes(in)], v.q, v.scale)
					if math.Abs(float64(got)-want) > 1e-4*size {
						t.Fatalf("%s, %d numbers, row %d: %g, not %g", typ, in, i, got, want)
					}
				}
			}
		}
	})
}

func TestMulPanel(t *testing.T) {
	each(t, func(t *testing.T) {
		t.Helper()
		r := rand.New(rand.NewPCG(3, 4))
		for _, typ := range quantized {
			for _, n := range []int{1, 2, 3, 7, 13, 20} {
				const in, out = 768, 75
				m := New(typ, in, out, randomRows(r, typ, in, out))
				var b Batch
				b.Resize(n, in)
				for i := range n {
					b.Set(i, randomVector(r, in))
				}
				const ld = out + 5
				dst := make([]float32, n*ld)
				var p Panel
				for i := range (out + Cols - 1) / Cols {
					m.MulPanel(dst, ld, i, &b, &p)
				}
				for j := range n {
					for i := range out {
						want, size := product(typ, m.Data[i*typ.RowBytes(in):][:typ.RowBytes(in)], b.q[j*in:(j+1)*in], b.scale[j*in/32:])
						if got := float64(dst[j*ld+i]); math.Abs(got-want) > 1e-4*size {
							t.Fatalf("%s, %d vectors, row %d of %d: %g, not %g", typ, n, i, j, got, want)
						}
					}
					for i := out; i < ld; i++ {
						if dst[j*ld+i] != 0 {
							t.Fatalf("%s: a number beyond was written", typ)
						}
					}
				}
			}
		}
	})
}

func TestQuantize(t *testing.T) {
	each(t, func(t *testing.T) {
		t.Helper()
		x := randomVector(rand.New(rand.NewPCG(5, 6)), 320)
		clear(x[64:96])
		var v Vector
		v.Set(x)
		for i, f := range x {
			if d := math.Abs(float64(f) - float64(v.q[i])*float64(v.scale[i/32])); d > 0.5001*float64(v.scale[i/32]) {
				t.Fatalf("number %d is %g, quantised %d times %g", i, f, v.q[i], v.scale[i/32])
			}
		}
		for i, s := range v.sums {
			var sum int32
			for _, q := range v.q[16*i : 16*i+16] {
				sum += int32(q)
			}
			if sum != s {
				t.Fatalf("sum %d is %d, not %d", i, s, sum)
			}
		}
		row := make([]byte, Q8.RowBytes(len(x)))
		QuantizeQ8(row, x)
		back := make([]float32, len(x))
		Q8.Floats(back, row)
		for i, f := range x {
			if math.Abs(float64(f-back[i])) > float64(v.scale[i/32])*0.6 {
				t.Fatalf("number %d is %g, and %g as Q8_0", i, f, back[i])
			}
		}
	})
}

func TestRows(t *testing.T) {
	each(t, func(t *testing.T) {
		t.Helper()
		r := rand.New(rand.NewPCG(7, 8))
		gate, up := randomVector(r, 64), randomVector(r, 64)
		gate[0], gate[1], gate[2] = 200, -200, 0
		dst := make([]float32, 64)
		SwiGLU(dst, gate, up)
		for i, got := range dst {
			x := float64(gate[i])
			want := x / (1 + math.Exp(-x)) * float64(up[i])
			if math.Abs(float64(got)-want) > 1e-6*math.Abs(want)+1e-30 {
				t.Fatalf("SwiGLU of %g and %g is %g, not %g", gate[i], up[i], got, want)
			}
		}
		h := make([]uint16, 64)
		ToHalves(h, gate)
		for i, x := range gate {
			if h[i] != ToHalf(x) {
				t.Fatalf("%g is %#x, not %#x", x, h[i], ToHalf(x))
			}
		}
		for _, m := range []int{1, 2, 5, 13} {
			const k, lda, ldb, ldc = 33, 40, 64, 48
			a, c := randomVector(r, m*lda), randomVector(r, m*ldc)
			b := make([]uint16, k*ldb)
			for i := range b {
				b[i] = ToHalf(float32(r.NormFloat64()))
			}
			for _, add := range []bool{false, true} {
				before := append([]float32(nil), c...)
				MulHalves(m, k, a, lda, b, ldb, c, ldc, add)
				for i := range m {
					for j := range Cols {
						want, size := 0.0, 1.0
						if add {
							want = float64(before[i*ldc+j])
						}
						for l := range k {
							p := float64(a[i*lda+l]) * float64(FromHalf(b[l*ldb+j]))
							want, size = want+p, size+math.Abs(p)
						}
						if got := float64(c[i*ldc+j]); math.Abs(got-want) > 1e-5*size {
							t.Fatalf("%d rows: %g, not %g", m, got, want)
						}
					}
				}
			}
		}
	})
}

func TestHalves(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		f := FromHalf(h)
		if f != f {
			if back := FromHalf(ToHalf(f)); back == back {
				t.Fatalf("%#x is no number, and comes back as %g", h, back)
			}
			continue
		}
		if back := ToHalf(f); back != h {
			t.Fatalf("%#x is %g, and comes back as %#x", h, f, back)
		}
	}
	for f, want := range map[float32]uint16{65519: 0x7bff, 65520: 0x7c00, 1e-8: 0, 1 + 1.0/2048: 0x3c00, 1 + 3.0/2048: 0x3c02, float32(math.Inf(-1)): 0xfc00} {
		if got := ToHalf(f); got != want {
			t.Errorf("%g is %#x, not %#x", f, got, want)
		}
	}
}

func BenchmarkMulVector(b *testing.B) {
	for _, typ := range quantized {
		for _, size := range []struct {
			name    string
			in, out int
		}{{"cache", 1536, 256}, {"memory", 1536, 256 << 10}} {
			b.Run(typ.String()+"/"+size.name, func(b *testing.B) {
				m := New(typ, size.in, size.out, randomRows(rand.New(rand.NewPCG(1, 1)), typ, size.in, size.out))
				var v Vector
				v.Set(randomVector(rand.New(rand.NewPCG(1, 1)), size.in), typ)
				dst := make([]float32, size.out)
				b.SetBytes(int64(len(m.Data)))
				for b.Loop() {
					m.MulVector(dst, 0, size.out, &v)
				}
			})
		}
	}
}

func BenchmarkMulPanel(b *testing.B) {
	for _, typ := range quantized {
		for _, n := range []int{1, 4, 8, 120} {
			b.Run(typ.String()+"/"+string(rune('0'+n/100))+string(rune('0'+n/10%10))+string(rune('0'+n%10)), func(b *testing.B) {
				const in, out = 1536, 1024
				m := New(typ, in, out, randomRows(rand.New(rand.NewPCG(1, 1)), typ, in, out))
				var x Batch
				x.Resize(n, in)
				for i := range n {
					x.Set(i, randomVector(rand.New(rand.NewPCG(1, 1)), in))
				}
				dst := make([]float32, n*out)
				var p Panel
				for b.Loop() {
					for i := range out / Cols {
						m.MulPanel(dst, out, i, &x, &p)
					}
				}
				b.ReportMetric(float64(in*out*n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
			})
		}
	}
}

func BenchmarkSet(b *testing.B) {
	x := randomVector(rand.New(rand.NewPCG(1, 1)), 1536)
	for _, typ := range quantized {
		b.Run(typ.String(), func(b *testing.B) {
			var v Vector
			for b.Loop() {
				v.Set(x, typ)
			}
		})
	}
}

// The packs are read by assembly, which knows their sizes.
var (
	_ [256 - unsafe.Sizeof(packQ4{})]byte
	_ [192 - unsafe.Sizeof(packQ8{})]byte
	_ [320 - unsafe.Sizeof(packQ4K{})]byte
	_ [384 - unsafe.Sizeof(packQ6K{})]byte
)

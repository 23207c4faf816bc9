package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// each runs f with every set that this processor can run, then restores the best.
func each(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	best := active
	defer func() { active = best }()
	for _, s := range usable() {
		active = s
		t.Run(s.name, f)
	}
}

func floats(r *rand.Rand, n int, scale float32) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64()) * scale
	}
	return x
}

func ones(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = 1
	}
	return x
}

// TestInt8 compares tiles with sums in 64 bits, exactly, at the extremes too.
func TestInt8(t *testing.T) {
	each(t, func(t *testing.T) {
		t.Helper()
		r := rand.New(rand.NewPCG(1, 2))
		for rows := 1; rows <= Rows; rows++ {
			for _, k := range []int{4, 8, 32, 100, 768, 3072} {
				lda := k + 4*r.IntN(3)
				a, b := make([]uint8, (rows-1)*lda+k), make([]int8, k*Cols)
				for i := range a {
					a[i] = uint8(1 + r.IntN(255))
					if r.IntN(4) == 0 {
						a[i] = [...]uint8{1, 255}[r.IntN(2)]
					}
				}
				for i := range b {
					b[i] = int8(r.IntN(255) - 127)
					if r.IntN(4) == 0 {
						b[i] = [...]int8{-127, 127}[r.IntN(2)]
					}
				}
				off := make([]int32, Cols)
				for i, w := range b {
					off[i/4%Cols] += 128 * int32(w)
				}
				var tile Tile
				tile.Int8(rows, a, lda, b, off)
				for i := range rows {
					for n := range Cols {
						var want int64
						for j := range k {
							want += (int64(a[i*lda+j]) - 128) * int64(b[(j/4*Cols+n)*4+j%4])
						}
						if got := int64(tile.ints[i*Cols+n]); got != want {
							t.Fatalf("%d rows, k %d: [%d][%d] is %d, want %d", rows, k, i, n, got, want)
						}
					}
				}
			}
		}
	})
}

func TestFloat32(t *testing.T) {
	each(t, func(t *testing.T) {
		t.Helper()
		r := rand.New(rand.NewPCG(3, 4))
		for m := 1; m <= 29; m++ {
			for _, k := range []int{1, 5, 64, 333} {
				lda, ldb, ldc := k+r.IntN(3), Cols+r.IntN(3), Cols+r.IntN(3)
				a, b := floats(r, (m-1)*lda+k, 1), floats(r, (k-1)*ldb+Cols, 1)
				c := make([]float32, (m-1)*ldc+Cols)
				MulFloat32(m, k, a, lda, b, ldb, c, ldc)
				for i := range m {
					for n := range Cols {
						var want float64
						for j := range k {
							want += float64(a[i*lda+j]) * float64(b[j*ldb+n])
						}
						if got := float64(c[i*ldc+n]); math.Abs(got-want) > 1e-4*math.Sqrt(float64(k)) {
							t.Fatalf("%d×%d: [%d][%d] is %g, want %g", m, k, i, n, got, want)
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
		r := rand.New(rand.NewPCG(5, 6))
		for _, n := range []int{16, 48, 768} {
			x, mask, q := floats(r, n, 3), ones(n), make([]uint8, n)
			x[n/2], mask[n/2] = 1000, 0
			scale := Quantize(q, x, mask)
			for i, v := range x {
				if got := float32(int(q[i])-128) * scale; math.Abs(float64(got-v*mask[i])) > float64(scale)*0.501 {
					t.Fatalf("[%d] of %d: %g became %g at scale %g", i, n, v, got, scale)
				}
			}
			if q[n/2] != 128 {
				t.Errorf("what the mask leaves out is %d", q[n/2])
			}
			clear(x)
			if scale := Quantize(q, x, mask); scale != 0 || q[0] != 128 {
				t.Errorf("zeros: scale %g, byte %d", scale, q[0])
			}
		}
	})
}

func TestLayerNorm(t *testing.T) {
	each(t, func(t *testing.T) {
		t.Helper()
		r := rand.New(rand.NewPCG(7, 8))
		for _, n := range []int{16, 32, 384, 1024} {
			x, g, b := floats(r, n, 5), floats(r, n, 1), floats(r, n, 1)
			var mean, v float64
			for _, f := range x {
				mean += float64(f) / float64(n)
			}
			for _, f := range x {
				v += (float64(f) - mean) * (float64(f) - mean) / float64(n)
			}
			got := make([]float32, n)
			LayerNorm(got, x, g, b, 1e-5)
			for i := range x {
				if want := (float64(x[i])-mean)/math.Sqrt(v+1e-5)*float64(g[i]) + float64(b[i]); math.Abs(float64(got[i])-want) > 2e-5 {
					t.Fatalf("[%d] of %d is %g, want %g", i, n, got[i], want)
				}
			}
		}
	})
}

func TestSoftmax(t *testing.T) {
	each(t, func(t *testing.T) {
		t.Helper()
		r := rand.New(rand.NewPCG(9, 10))
		for _, n := range []int{16, 32, 512} {
			x := floats(r, n, 30)
			x[n-1], x[n-2] = -1e30, -1e30
			want := make([]float64, n)
			var m, sum float64
			for _, f := range x {
				m = max(m, float64(f))
			}
			for i, f := range x {
				want[i] = math.Exp((float64(f) - m) / 8)
				sum += want[i]
			}
			Softmax(x, 1.0/8)
			for i := range x {
				if math.Abs(float64(x[i])-want[i]/sum) > 1e-6 {
					t.Fatalf("[%d] of %d is %g, want %g", i, n, x[i], want[i]/sum)
				}
			}
		}
	})
}

// TestFinish compares with the formula, GELU against math.Erf.
func TestFinish(t *testing.T) {
	each(t, func(t *testing.T) {
		t.Helper()
		r := rand.New(rand.NewPCG(11, 12))
		for mode := range 16 {
			rows := 1 + r.IntN(Rows)
			var tile Tile
			for i := range tile.ints {
				tile.ints[i], tile.floats[i] = int32(r.IntN(200000)-100000), float32(r.NormFloat64())*3
			}
			o := Finish{
				RowScale: floats(r, rows, 0.01), ColScale: floats(r, Cols, 0.01), Bias: floats(r, Cols, 1),
				Dst: make([]float32, rows*40), LdDst: 40, GELU: mode&1 != 0,
			}
			if mode&2 != 0 {
				o.Residual, o.LdResidual = floats(r, rows*50, 1), 50
			}
			float, extra := mode&4 != 0, mode&8 != 0
			switch {
			case float:
				tile.FinishFloat32(rows, &o)
			case extra:
				tile.FinishBoth(rows, &o)
			default:
				tile.FinishInt8(rows, &o)
			}
			for i := range rows {
				for j := range Cols {
					v := float64(tile.floats[i*Cols+j])
					if !float {
						if v = float64(tile.ints[i*Cols+j]) * float64(o.RowScale[i]) * float64(o.ColScale[j]); extra {
							v += float64(tile.floats[i*Cols+j])
						}
					}
					if v += float64(o.Bias[j]); o.GELU {
						v = 0.5 * v * (1 + math.Erf(v/math.Sqrt2))
					}
					if o.Residual != nil {
						v += float64(o.Residual[i*50+j])
					}
					if got := float64(o.Dst[i*40+j]); math.Abs(got-v) > 1e-5*(1+math.Abs(v)) {
						t.Fatalf("mode %d: [%d][%d] is %g, want %g", mode, i, j, got, v)
					}
				}
			}
		}
	})
}

// TestGELU bounds the error of the activation where it bends, and beyond.
func TestGELU(t *testing.T) {
	each(t, func(t *testing.T) {
		t.Helper()
		var tile Tile
		o := Finish{Bias: make([]float32, Cols), Dst: make([]float32, Cols), LdDst: Cols, GELU: true}
		for x := float32(-12); x < 12; x += 0.01 {
			for i := range Cols {
				tile.floats[i] = x + float32(i)*0.0003
			}
			tile.FinishFloat32(1, &o)
			for i, got := range o.Dst {
				v := float64(tile.floats[i])
				if want := 0.5 * v * (1 + math.Erf(v/math.Sqrt2)); math.Abs(float64(got)-want) > 2e-6 {
					t.Fatalf("gelu(%g) is %g, want %g", v, got, want)
				}
			}
		}
	})
}

func TestSetColumn(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	const k = 64
	p := Int8Panels{K: k, B: make([]int8, k*2*Cols), Off: make([]int32, 2*Cols), Scale: make([]float32, 2*Cols)}
	for n := range 2 * Cols {
		row, mask := floats(r, k, 1), ones(k)
		row[7], mask[7] = 99, 0
		p.SetColumn(n, row, mask)
		var sum int32
		for i, v := range row {
			q := p.Panel(n / Cols)[(i/4*Cols+n%Cols)*4+i%4]
			sum += int32(q)
			if d := math.Abs(float64(float32(q)*p.Scale[n] - v*mask[i])); d > 0.501*float64(p.Scale[n]) {
				t.Fatalf("column %d, element %d: %g became %d at scale %g", n, i, v, q, p.Scale[n])
			}
		}
		if p.Off[n] != 128*sum {
			t.Fatalf("column %d: offset %d, want %d", n, p.Off[n], 128*sum)
		}
	}
}

// TestWrongLengthsPanic holds that what would read or write beyond a slice panics.
func TestWrongLengthsPanic(t *testing.T) {
	var tile Tile
	f := func(n int) []float32 { return make([]float32, n) }
	for name, call := range map[string]func(){
		"a short":     func() { tile.Int8(2, make([]uint8, 15), 8, make([]int8, 8*Cols), make([]int32, Cols)) },
		"rows":        func() { tile.Int8(13, make([]uint8, 1000), 8, make([]int8, 8*Cols), make([]int32, Cols)) },
		"k":           func() { tile.Int8(1, make([]uint8, 1000), 8, make([]int8, 6*Cols), make([]int32, Cols)) },
		"b short":     func() { MulFloat32(1, 2, f(2), 2, f(Cols), Cols, f(Cols), Cols) },
		"c short":     func() { MulFloat32(2, 2, f(4), 2, f(2*Cols), Cols, f(Cols), Cols) },
		"lanes":       func() { Softmax(f(17), 1) },
		"bytes short": func() { Quantize(make([]uint8, 15), f(16), f(16)) },
		"bias short":  func() { LayerNorm(f(16), f(16), f(16), f(15), 0) },
		"dst short":   func() { tile.FinishFloat32(2, &Finish{Bias: f(Cols), Dst: f(Cols), LdDst: Cols}) },
		"residual short": func() {
			tile.FinishFloat32(2, &Finish{Bias: f(Cols), Dst: f(64), LdDst: Cols, Residual: f(40), LdResidual: Cols})
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			call()
		}()
	}
	if unsafe.Offsetof(finish{}.flags) != 80 {
		t.Error("assembly expects the flags at 80")
	}
}

func BenchmarkInt8(b *testing.B) {
	for _, k := range []int{768, 3072} {
		b.Run(fmt.Sprint(k), func(b *testing.B) {
			var tile Tile
			a, p, off := make([]uint8, Rows*k), make([]int8, k*Cols), make([]int32, Cols)
			for b.Loop() {
				tile.Int8(Rows, a, k, p, off)
			}
			b.ReportMetric(float64(Rows*k*Cols)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
		})
	}
}

func BenchmarkFinish(b *testing.B) {
	for _, gelu := range []bool{false, true} {
		b.Run(fmt.Sprint(gelu), func(b *testing.B) {
			var tile Tile
			o := Finish{RowScale: ones(Rows), ColScale: ones(Cols), Bias: ones(Cols), Dst: make([]float32, Rows*Cols), LdDst: Cols, GELU: gelu}
			for b.Loop() {
				tile.FinishInt8(Rows, &o)
			}
		})
	}
}

package kernels

import (
	"math"
	"math/rand/v2"
	"testing"
)

// words are random, with the extremes among them.
func words(r *rand.Rand, n, most int) []int16 {
	x := make([]int16, n)
	for i := range x {
		x[i] = int16(r.IntN(2*most+1) - most)
		if r.IntN(4) == 0 {
			x[i] = [...]int16{int16(-most), int16(most)}[r.IntN(2)]
		}
	}
	return x
}

// TestInt16 compares tiles with sums in 64 bits, exactly.
func TestInt16(t *testing.T) {
	each(t, func(t *testing.T) {
		t.Helper()
		r := rand.New(rand.NewPCG(21, 22))
		for rows := 1; rows <= Rows; rows++ {
			for _, k := range []int{2, 32, 64, 128} {
				lda := k + 2*r.IntN(3)
				a, b := words(r, (rows-1)*lda+k, 4095), words(r, k*Cols, 4095)
				var tile Tile
				tile.Int16(rows, k, a, lda, b)
				for i := range rows {
					for n := range Cols {
						var want int64
						for j := range k {
							want += int64(a[i*lda+j]) * int64(b[(j/2*Cols+n)*2+j%2])
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

func TestQuantize16(t *testing.T) {
	each(t, func(t *testing.T) {
		t.Helper()
		r := rand.New(rand.NewPCG(23, 24))
		const rows, n, ld, most = 5, 48, 60, 4095
		x, q, scale := floats(r, rows*ld, 3), make([]int16, rows*n), make([]float32, rows)
		clear(x[2*ld : 2*ld+n])
		Quantize16(q, x, ld, n, most, scale)
		for i := range rows {
			largest := 0.0
			for j := range n {
				v := float64(x[i*ld+j])
				largest = max(largest, math.Abs(float64(q[i*n+j])))
				if got := float64(q[i*n+j]) * float64(scale[i]); math.Abs(got-v) > float64(scale[i])*0.51 {
					t.Fatalf("[%d][%d]: %g became %g at scale %g", i, j, v, got, scale[i])
				}
			}
			if i != 2 && largest != most || i == 2 && (largest != 0 || scale[i] != 0) {
				t.Errorf("row %d: the largest is %g, the scale %g", i, largest, scale[i])
			}
		}
	})
}

func TestPanels16(t *testing.T) {
	each(t, func(t *testing.T) {
		t.Helper()
		r := rand.New(rand.NewPCG(25, 26))
		for _, k := range []int{32, 64, 96} {
			src, dst := words(r, 64*k, 30000), make([]int16, 64*k)
			Panels16(dst, src, k)
			for token := range 64 {
				for j := range k {
					if got, want := dst[token/Cols*Cols*k+(j/2*Cols+token%Cols)*2+j%2], src[token*k+j]; got != want {
						t.Fatalf("token %d, word %d of %d: %d, want %d", token, j, k, got, want)
					}
				}
			}
		}
	})
}

func TestValues16(t *testing.T) {
	each(t, func(t *testing.T) {
		t.Helper()
		r := rand.New(rand.NewPCG(27, 28))
		for _, rows := range []int{1, 2, 7, 16} {
			const ld = 40
			x, dst, scale := floats(r, rows*ld, 2), make([]int16, (rows+1)/2*2*Cols), make([]float32, Cols)
			for i := range dst {
				dst[i] = 77
			}
			for i := range rows {
				x[i*ld+3] = 0
			}
			Values16(dst, x, rows, ld, 4095, scale)
			for i := range (rows + 1) / 2 * 2 {
				for j := range Cols {
					want := 0.0
					if i < rows {
						want = float64(x[i*ld+j])
					}
					if got := float64(dst[(i/2*Cols+j)*2+i%2]) * float64(scale[j]); math.Abs(got-want) > float64(scale[j])*0.51 {
						t.Fatalf("%d rows: [%d][%d] is %g, want %g", rows, i, j, got, want)
					}
				}
			}
		}
	})
}

func TestSoftmax16(t *testing.T) {
	each(t, func(t *testing.T) {
		t.Helper()
		r := rand.New(rand.NewPCG(29, 30))
		for _, n := range []int{16, 32, 512, 8192} {
			for _, spread := range []float32{0, 1, 30} {
				const most = 480_000
				x, dst := floats(r, n, spread), make([]int16, n)
				x[n-1] = -1e30
				want, sum := make([]float64, n), 0.0
				top := 0.0
				for _, f := range x {
					top = max(top, float64(f))
				}
				for i, f := range x {
					want[i] = math.Exp((float64(f) - top) / 8)
					sum += want[i]
				}
				scale := float64(Softmax16(dst, x, 1.0/8, most))
				total := 0
				for i, q := range dst {
					total += int(q)
					if got := float64(q) * scale; q < 0 || math.Abs(got-want[i]/sum) > scale*0.51+1e-6 {
						t.Fatalf("[%d] of %d is %g, want %g", i, n, got, want[i]/sum)
					}
				}
				if total > most+n/2 {
					t.Errorf("the sum of %d is %d", n, total)
				}
			}
		}
	})
}

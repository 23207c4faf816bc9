package build

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
)

const (
	oversample = 16 // directions beyond those wanted, which make the wanted ones exact
	iterations = 3
	seed       = 1
)

// vectors returns a row of dims numbers for each row of m: its left singular vectors,
// each times the square root of its singular value.
func vectors(m sparse, dims int) [][]float32 {
	l := (dims + oversample + 15) / 16 * 16
	rows, r := len(m), rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // no secret
	x := make([]float32, rows*l)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	t := m.transposed()
	y := m.times(x, l)
	for range iterations {
		orthonormalize(y, rows, l)
		y = t.times(y, l)
		orthonormalize(y, rows, l)
		y = m.times(y, l)
	}
	orthonormalize(y, rows, l)
	values, u := eigen(gram(t.times(y, l), rows, l), l)
	out := make([][]float32, rows)
	parallel(rows, func(from, to int) {
		for i := from; i < to; i++ {
			out[i] = make([]float32, dims)
			for k := range out[i] {
				var sum float64
				for j := range l {
					sum += float64(y[i*l+j]) * u[j*l+k]
				}
				// An eigenvalue is the square of a singular value.
				out[i][k] = float32(sum * math.Pow(max(values[k], 0), 0.25))
			}
		}
	})
	return out
}

// parallel calls f with parts of n on all processors. Parts are not in order.
func parallel(n int, f func(from, to int)) {
	var wg sync.WaitGroup
	p := runtime.GOMAXPROCS(0)
	for i := range p {
		wg.Go(func() { f(n*i/p, n*(i+1)/p) })
	}
	wg.Wait()
}

// gram returns yᵀy. The sums of a fixed number of blocks are added in order, so that the
// number of processors changes nothing.
func gram(y []float32, rows, l int) []float64 {
	const blocks = 16
	sums := make([][]float64, blocks)
	parallel(blocks, func(from, to int) {
		for b := from; b < to; b++ {
			g := make([]float64, l*l)
			for i := rows * b / blocks; i < rows*(b+1)/blocks; i++ {
				row := y[i*l : (i+1)*l]
				for p := range l {
					x, out := float64(row[p]), g[p*l:(p+1)*l]
					for q := p; q < l; q++ {
						out[q] += x * float64(row[q])
					}
				}
			}
			sums[b] = g
		}
	})
	total := sums[0]
	for _, g := range sums[1:] {
		for i := range total {
			total[i] += g[i]
		}
	}
	for p := range l {
		for q := range p {
			total[p*l+q] = total[q*l+p]
		}
	}
	return total
}

// orthonormalize makes the columns of y orthonormal, by Cholesky's factor of yᵀy; twice,
// as once loses half of the digits.
func orthonormalize(y []float32, rows, l int) {
	for range 2 {
		g, r := gram(y, rows, l), make([]float64, l*l)
		for j := range l {
			for i := 0; i <= j; i++ {
				s := g[i*l+j]
				for k := range i {
					s -= r[k*l+i] * r[k*l+j]
				}
				if i == j {
					r[i*l+i] = math.Sqrt(max(s, 1e-9*g[i*l+i]))
				} else {
					r[i*l+j] = s / r[i*l+i]
				}
			}
		}
		parallel(rows, func(from, to int) {
			x := make([]float64, l)
			for i := from; i < to; i++ {
				row := y[i*l : (i+1)*l]
				for j := range row {
					s := float64(row[j])
					for k := range j {
						s -= x[k] * r[k*l+j]
					}
					x[j] = s / r[j*l+j]
				}
				for j := range row {
					row[j] = float32(x[j])
				}
			}
		})
	}
}

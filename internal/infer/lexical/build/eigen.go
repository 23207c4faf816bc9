package build

import (
	"cmp"
	"math"
	"slices"
)

// eigen returns the eigenvalues of a symmetric n×n matrix, the largest first, and its
// eigenvectors as columns, by Jacobi's rotations. It overwrites a.
func eigen(a []float64, n int) (values, vectors []float64) {
	u := make([]float64, n*n)
	for i := range n {
		u[i*n+i] = 1
	}
	const sweeps, small = 12, 1e-12
	for range sweeps {
		off := 0.0
		for p := range n {
			for q := p + 1; q < n; q++ {
				off += a[p*n+q] * a[p*n+q]
				if math.Abs(a[p*n+q]) >= small {
					rotate(a, u, n, p, q)
				}
			}
		}
		if off < small {
			break
		}
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(a[j*n+j], a[i*n+i]) })
	values, vectors = make([]float64, n), make([]float64, n*n)
	for k, i := range order {
		values[k] = a[i*n+i]
		for j := range n {
			vectors[j*n+k] = u[j*n+i]
		}
	}
	return values, vectors
}

// rotate makes a[p][q] zero.
func rotate(a, u []float64, n, p, q int) {
	theta := (a[q*n+q] - a[p*n+p]) / (2 * a[p*n+q])
	t := 1 / (math.Abs(theta) + math.Sqrt(theta*theta+1))
	if theta < 0 {
		t = -t
	}
	c := 1 / math.Sqrt(t*t+1)
	s := t * c
	turn := func(m []float64, i, j int) {
		x, y := m[i], m[j]
		m[i], m[j] = c*x-s*y, s*x+c*y
	}
	for k := range n {
		turn(a, k*n+p, k*n+q)
	}
	for k := range n {
		turn(a, p*n+k, q*n+k)
		turn(u, k*n+p, k*n+q)
	}
}

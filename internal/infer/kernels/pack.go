package kernels

import "math"

// Padded returns n rounded up to whole panels.
func Padded(n int) int { return (n + Cols - 1) / Cols * Cols }

// Int8Panels is the right-hand side of a product in 8 bits: column n of B is a
// row of a weight matrix, quantised on its own so that its largest number is 127.
type Int8Panels struct {
	K     int
	B     []int8
	Off   []int32
	Scale []float32
}

// Panels returns how many panels there are.
func (p *Int8Panels) Panels() int { return len(p.Scale) / Cols }

// Panel returns the numbers of panel i.
func (p *Int8Panels) Panel(i int) []int8 { return p.B[i*p.K*Cols : (i+1)*p.K*Cols] }

// SetColumn quantises row into column n. Elements of which skip is true are
// left out, as zeros.
func (p *Int8Panels) SetColumn(n int, row, mask []float32) {
	row, mask = row[:p.K], mask[:p.K]
	var m float32
	for i, v := range row {
		m = max(m, float32(math.Abs(float64(v*mask[i]))))
	}
	if m == 0 || math.IsInf(float64(m), 0) || math.IsNaN(float64(m)) {
		m = 127
	}
	inv, panel := 127/m, p.Panel(n/Cols)
	j := n % Cols * 4
	var sum int32
	for k := 0; k < p.K; k += 4 {
		q := panel[k*Cols+j : k*Cols+j+4 : k*Cols+j+4]
		for i := range q {
			v := round(row[k+i] * mask[k+i] * inv)
			q[i] = v
			sum += int32(v)
		}
	}
	p.Scale[n], p.Off[n] = m/127, 128*sum
}

// round rounds to the nearest, ties to even, by the trick of adding what
// leaves no room for a fraction.
func round(v float32) int8 {
	const magic = 1.5 * (1 << 23)
	return int8(math.Float32bits(v+magic) & 0xff) //nolint:gosec // the low byte is the number
}

// SetFloat32Column puts a row of a weight matrix into column n of float32
// panels of k rows.
func SetFloat32Column(panels []float32, n int, row []float32) {
	p := panels[n/Cols*len(row)*Cols+n%Cols:]
	for k, v := range row {
		p[k*Cols] = v
	}
}

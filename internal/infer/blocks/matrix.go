package blocks

import "fmt"

// Matrix is weights: Out rows of In numbers.
type Matrix struct {
	Type    Type
	In, Out int
	Data    []byte
}

// RowMultiple is what the length of a row is a multiple of.
const RowMultiple = 64

// New returns a matrix of these bytes. It panics when they are not as many as
// the numbers say, or when the type is not quantised or a row not a multiple of
// [RowMultiple] and of a block.
func New(t Type, in, out int, data []byte) *Matrix {
	if !t.Quantized() || in <= 0 || in%RowMultiple != 0 || in%t.Block() != 0 || out <= 0 || len(data) != out*t.RowBytes(in) {
		panic(fmt.Sprintf("blocks: %d bytes as a matrix of %d×%d of type %s", len(data), out, in, t))
	}
	return &Matrix{Type: t, In: in, Out: out, Data: data}
}

// Row sets dst to a row.
func (m *Matrix) Row(dst []float32, row int) {
	n := m.Type.RowBytes(m.In)
	m.Type.Floats(dst[:m.In], m.Data[row*n:(row+1)*n])
}

// MulVector sets dst[from:to] to the products of these rows with v, which was
// set for the matrix's type.
func (m *Matrix) MulVector(dst []float32, from, to int, v *Vector) {
	if from < 0 || to > m.Out || from > to || len(v.q) != m.In {
		panic(fmt.Sprintf("blocks: rows %d to %d of %d, %d numbers for %d", from, to, m.Out, len(v.q), m.In))
	}
	if from == to {
		return
	}
	dst = dst[from:to]
	size := m.Type.RowBytes(m.In)
	data := m.Data[from*size : to*size]
	done := 0
	if active.dot != nil {
		pack, units := v.packed(m.Type)
		if units != m.In/m.Type.unit() {
			panic("blocks: the vector was not set for type " + m.Type.String())
		}
		if done = units * m.Type.unit(); units > 0 {
			active.dot(m.Type, &data[0], size, len(dst), pack, units, &dst[0])
		} else {
			clear(dst)
		}
	} else {
		clear(dst)
	}
	if done == m.In {
		return
	}
	skip := m.Type.RowBytes(done)
	for i := range dst {
		dst[i] += dotGo(m.Type, data[i*size+skip:(i+1)*size], v, done)
	}
}

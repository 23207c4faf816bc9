package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/selvage-dev/selvage/internal/infer/blocks"
)

// Tensor is one array of a file. Its numbers are stored in row-major order,
// little endian.
type Tensor struct {
	Name  string
	DType DType
	Shape []int
	data  []byte
}

// Len returns how many numbers there are.
func (t *Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Bytes returns how much of the file the tensor is.
func (t *Tensor) Bytes() int { return len(t.data) }

// Want returns an error unless the tensor has this shape and is of floats.
func (t *Tensor) Want(shape ...int) error {
	if !slices.Equal(t.Shape, shape) {
		return fmt.Errorf("%w: tensor %q has the shape %v, the configuration asks for %v", ErrInvalid, t.Name, t.Shape, shape)
	}
	switch t.DType { //nolint:exhaustive // the rest is refused
	case F32, F16, BF16:
		return nil
	default:
		return fmt.Errorf("%w: tensor %q is of type %s; weights are F32, F16 or BF16", ErrInvalid, t.Name, t.DType)
	}
}

// Floats sets dst to the numbers from index i on. It panics when they are not
// there, or when the type is none that [Tensor.Want] lets pass.
func (t *Tensor) Floats(dst []float32, i int) {
	switch t.DType { //nolint:exhaustive // the rest is refused
	case F32:
		src := t.data[4*i : 4*(i+len(dst))]
		for j := range dst {
			dst[j] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*j:]))
		}
	case F16:
		src := t.data[2*i : 2*(i+len(dst))]
		for j := range dst {
			dst[j] = blocks.FromHalf(binary.LittleEndian.Uint16(src[2*j:]))
		}
	case BF16:
		src := t.data[2*i : 2*(i+len(dst))]
		for j := range dst {
			dst[j] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*j:])) << 16)
		}
	default:
		panic("safetensors: " + t.Name + " has no floats")
	}
}

// Data is the tensor's part of the file. It is dead when the model is closed.
func (t *Tensor) Data() []byte { return t.data }

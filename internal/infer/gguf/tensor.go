package gguf

import (
	"fmt"
	"slices"

	"github.com/selvage-dev/selvage/internal/infer/blocks"
)

// Tensor is one array of a file.
type Tensor struct {
	Name string
	Type blocks.Type
	// Shape has the fastest-running dimension first: a matrix of out rows of in
	// numbers is [in, out].
	Shape []int
	// Data is the tensor's part of the file; nil if the type is none that this
	// platform reads, which is an error only for who wants the tensor.
	Data []byte
}

// find sets Data. Tensors begin at begin in the file.
func (t *Tensor) find(file []byte, begin, offset uint64) error {
	if !t.Type.Known() {
		return nil
	}
	rows := 1
	for _, d := range t.Shape[1:] {
		rows *= d
	}
	if t.Shape[0]%t.Type.Block() != 0 {
		return invalid("tensor %.100q of type %s has rows of %d numbers, not a multiple of %d", t.Name, t.Type, t.Shape[0], t.Type.Block())
	}
	size := uint64(rows) * uint64(t.Type.RowBytes(t.Shape[0])) //nolint:gosec // at most maxNumber numbers of 4 bytes
	end := uint64(len(file))
	if begin > end || offset > end-begin || size > end-begin-offset {
		return invalid("tensor %.100q has %d bytes from %d on, the file ends at %d", t.Name, size, begin+offset, end)
	}
	t.Data = file[begin+offset : begin+offset+size]
	return nil
}

// Want returns an error unless the tensor has this shape and a type that can be
// read.
func (t *Tensor) Want(shape ...int) error {
	if !slices.Equal(t.Shape, shape) {
		return fmt.Errorf("%w: tensor %q has the shape %v, its metadata asks for %v", ErrInvalid, t.Name, t.Shape, shape)
	}
	if t.Data == nil {
		return fmt.Errorf("%w: tensor %q is of type %s; %s can be read: convert the model to Q4_K_M, Q4_0 or Q8_0, for instance with llama-quantize",
			ErrUnsupported, t.Name, t.Type, blocks.Names())
	}
	return nil
}

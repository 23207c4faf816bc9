package safetensors

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
)

const (
	// The maxHeader is many times what the largest models have (the format allows 100 MB).
	maxHeader = 32 << 20
	// The maxDims is more than any model has.
	maxDims = 8
)

// parse returns the tensors of a file that has these bytes.
func parse(file []byte) (map[string]*Tensor, error) {
	if len(file) < 8 {
		return nil, fmt.Errorf("%w: %d bytes are too few for a header", ErrInvalid, len(file))
	}
	n := binary.LittleEndian.Uint64(file)
	if n > maxHeader || n > uint64(len(file)-8) { //nolint:gosec // not negative
		return nil, fmt.Errorf("%w: the header claims %d bytes; the file has %d, and %d are allowed", ErrInvalid, n, len(file), maxHeader)
	}
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(file[8:8+n], &entries); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrInvalid, err)
	}
	body := file[8+n:]
	tensors := make(map[string]*Tensor, len(entries))
	for name, raw := range entries {
		if name == "__metadata__" {
			continue
		}
		t, err := entry(name, raw, body)
		if err != nil {
			return nil, err
		}
		tensors[name] = t
	}
	return tensors, nil
}

// entry returns the tensor that one entry of the header describes.
func entry(name string, raw json.RawMessage, body []byte) (*Tensor, error) {
	var e struct {
		DType   DType    `json:"dtype"`
		Shape   []int64  `json:"shape"`
		Offsets []uint64 `json:"data_offsets"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, fmt.Errorf("%w: tensor %.100q: %w", ErrInvalid, name, err)
	}
	size, err := e.DType.size()
	if err != nil {
		return nil, fmt.Errorf("tensor %.100q: %w", name, err)
	}
	if len(e.Shape) > maxDims || len(e.Offsets) != 2 {
		return nil, fmt.Errorf("%w: tensor %.100q has %d dimensions and %d offsets", ErrInvalid, name, len(e.Shape), len(e.Offsets))
	}
	shape := make([]int, len(e.Shape))
	for i, d := range e.Shape {
		if d < 0 || d > math.MaxInt32 || d != 0 && size > math.MaxInt64/4/d {
			return nil, fmt.Errorf("%w: tensor %.100q has the shape %v", ErrInvalid, name, e.Shape)
		}
		size *= d
		shape[i] = int(d)
	}
	from, to := e.Offsets[0], e.Offsets[1]
	if from > to || to > uint64(len(body)) || to-from != uint64(size) { //nolint:gosec // not negative
		return nil, fmt.Errorf("%w: tensor %.100q of %d bytes is said to be at %d to %d of %d", ErrInvalid, name, size, from, to, len(body))
	}
	return &Tensor{Name: name, DType: e.DType, Shape: shape, data: body[from:to:to]}, nil
}

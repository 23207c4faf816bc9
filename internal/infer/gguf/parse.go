package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/selvage-dev/selvage/internal/infer/blocks"
)

var (
	// ErrInvalid marks what breaks the format.
	ErrInvalid = errors.New("invalid GGUF file")
	// ErrUnsupported marks a well-formed file that this package does not read.
	ErrUnsupported = errors.New("unsupported GGUF file")
	// ErrMissing marks a tensor that is not there.
	ErrMissing = errors.New("not in the GGUF file")
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalid, fmt.Errorf(format, args...))
}

const (
	magic = "GGUF"
	// The maxKeys and maxTensors are many times what the largest models have.
	maxKeys    = 64 << 10
	maxTensors = 256 << 10
	// The maxName is the format's bound for names of tensors; keys have 2^16-1.
	maxName = 1 << 16
	// The maxValues bounds the bytes of all strings and arrays: several times
	// the largest vocabulary.
	maxValues = 256 << 20
	maxDims   = 4
	// The maxNumber is more numbers than any tensor has.
	maxNumber = 1 << 40
)

// reader walks through a file.
type reader struct {
	b   []byte
	at  int
	err error
	// values is how many bytes of strings and arrays were read.
	values int
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = invalid("at byte %d: %w", r.at, fmt.Errorf(format, args...))
	}
}

// take returns the next n bytes; none after a failure.
func (r *reader) take(n int) []byte {
	if r.err == nil && (n < 0 || n > len(r.b)-r.at) {
		r.fail("%d bytes are wanted, %d are left", n, len(r.b)-r.at)
	}
	if r.err != nil {
		return nil
	}
	r.at += n
	return r.b[r.at-n : r.at]
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// count reads a number of things of which each takes at least size bytes, and
// of which there are at most limit.
func (r *reader) count(what string, size, limit int) int {
	n := r.uint64()
	if r.err == nil && (n > uint64(limit) || n > uint64((len(r.b)-r.at)/size)) { //nolint:gosec // not negative
		r.fail("%d %s; %d bytes are left, and %d are allowed", n, what, len(r.b)-r.at, limit)
	}
	if r.err != nil {
		return 0
	}
	return int(n) //nolint:gosec // bounded
}

func (r *reader) string(limit int) string {
	n := r.count("bytes of a string", 1, limit)
	if r.values += n; r.values > maxValues {
		r.fail("strings and arrays have more than %d bytes", maxValues)
	}
	return string(r.take(n))
}

// parse returns the metadata and tensors of a file that has these bytes.
func parse(b []byte) (map[string]any, map[string]*Tensor, error) {
	r := &reader{b: b}
	if string(r.take(len(magic))) != magic {
		return nil, nil, invalid("it does not begin with %q", magic)
	}
	if v := r.uint32(); r.err == nil && v != 2 && v != 3 {
		return nil, nil, fmt.Errorf("%w: version %d; versions 2 and 3 are read", ErrUnsupported, v)
	}
	tensors := r.count("tensors", 8+4+8+4+8, maxTensors)
	keys := r.count("keys", 8+4+1, maxKeys)
	values := make(map[string]any, keys)
	for range keys {
		key := r.string(maxName)
		v := r.value(kind(r.uint32()))
		if r.err != nil {
			return nil, nil, r.err
		}
		if _, twice := values[key]; twice || key == "" {
			return nil, nil, invalid("the key %.100q is empty or there twice", key)
		}
		values[key] = v
	}
	ts, err := r.tensors(tensors, values)
	return values, ts, err
}

// value reads a value of any kind.
func (r *reader) value(k kind) any {
	switch k { //nolint:exhaustive // the rest is of fixed size
	case kindString:
		return r.string(maxValues)
	case kindArray:
		return r.array()
	}
	if k.size() == 0 {
		r.fail("a value of the unknown type %d", k)
		return nil
	}
	return scalar(k, r.take(k.size()))
}

// scalar widens a value of fixed size to uint64, int64, float64 or bool.
func scalar(k kind, b []byte) any {
	if b == nil {
		return nil
	}
	le := binary.LittleEndian
	switch k {
	case kindUint8:
		return uint64(b[0])
	case kindInt8:
		return int64(int8(b[0])) //nolint:gosec // the same bits
	case kindUint16:
		return uint64(le.Uint16(b))
	case kindInt16:
		return int64(int16(le.Uint16(b))) //nolint:gosec // the same bits
	case kindUint32:
		return uint64(le.Uint32(b))
	case kindInt32:
		return int64(int32(le.Uint32(b))) //nolint:gosec // the same bits
	case kindUint64:
		return le.Uint64(b)
	case kindInt64:
		return int64(le.Uint64(b)) //nolint:gosec // the same bits
	case kindFloat32:
		return float64(math.Float32frombits(le.Uint32(b)))
	case kindFloat64:
		return math.Float64frombits(le.Uint64(b))
	case kindBool:
		return b[0] != 0
	case kindString, kindArray:
	}
	return nil
}

// array reads an array as a slice of strings, bool, int64 or float64. Arrays of
// arrays are not in any model, and are refused.
func (r *reader) array() any {
	k := kind(r.uint32())
	switch k { //nolint:exhaustive // the rest is of fixed size
	case kindString:
		out := make([]string, r.count("strings", 8, maxValues/16))
		r.values += 16 * len(out)
		for i := range out {
			out[i] = r.string(maxValues)
		}
		return out
	case kindArray:
		r.fail("an array of arrays")
		return nil
	}
	size := k.size()
	if size == 0 {
		r.fail("an array of the unknown type %d", k)
		return nil
	}
	n := r.count("numbers", size, maxValues/8)
	if r.values += 8 * n; r.values > maxValues {
		r.fail("strings and arrays have more than %d bytes", maxValues)
	}
	b := r.take(n * size)
	if r.err != nil {
		return nil
	}
	switch k { //nolint:exhaustive // the rest are whole numbers
	case kindFloat32, kindFloat64:
		return numbers[float64](k, b, n)
	case kindBool:
		return numbers[bool](k, b, n)
	case kindUint8, kindUint16, kindUint32, kindUint64:
		out := make([]int64, n)
		for i, v := range numbers[uint64](k, b, n) {
			out[i] = int64(v) //nolint:gosec // what does not fit is negative, and is refused by who reads it
		}
		return out
	}
	return numbers[int64](k, b, n)
}

func numbers[T any](k kind, b []byte, n int) []T {
	out := make([]T, n)
	for i := range out {
		out[i], _ = scalar(k, b[i*k.size():]).(T)
	}
	return out
}

// tensors reads n descriptions, and finds the tensors behind them.
func (r *reader) tensors(n int, values map[string]any) (map[string]*Tensor, error) {
	align := uint64(32)
	if v, ok := values["general.alignment"]; ok {
		if align, ok = v.(uint64); !ok || align == 0 || align > 1<<20 || align%8 != 0 {
			return nil, invalid("general.alignment is %v", v)
		}
	}
	out := make(map[string]*Tensor, n)
	offsets := make(map[*Tensor]uint64, n)
	for range n {
		t := &Tensor{Name: r.string(maxName)}
		dims := r.uint32()
		if r.err == nil && (dims == 0 || dims > maxDims) {
			r.fail("tensor %.100q has %d dimensions", t.Name, dims)
		}
		numbers := uint64(1)
		for range dims {
			if r.err != nil {
				break
			}
			d := r.uint64()
			if r.err == nil && (d == 0 || d > maxNumber || numbers > maxNumber/d) {
				r.fail("tensor %.100q has a dimension of %d", t.Name, d)
				break
			}
			numbers *= d
			t.Shape = append(t.Shape, int(d)) //nolint:gosec // bounded
		}
		t.Type = blocks.Type(r.uint32())
		offset := r.uint64()
		if r.err != nil {
			return nil, r.err
		}
		if out[t.Name] != nil || offset%align != 0 {
			return nil, invalid("tensor %.100q is there twice, or not aligned to %d bytes", t.Name, align)
		}
		out[t.Name], offsets[t] = t, offset
	}
	if r.err != nil {
		return nil, r.err
	}
	begin := (uint64(r.at) + align - 1) / align * align //nolint:gosec // not negative
	for t, offset := range offsets {
		if err := t.find(r.b, begin, offset); err != nil {
			return nil, err
		}
	}
	return out, nil
}

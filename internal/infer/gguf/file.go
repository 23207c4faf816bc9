package gguf

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/selvage-dev/selvage/internal/infer/memory"
)

// File is an open file. It is safe for concurrent use until it is closed.
type File struct {
	bytes   []byte
	values  map[string]any
	tensors map[string]*Tensor
}

// Open maps the file at path. The caller closes it.
func Open(path string) (_ *File, err error) {
	f, err := os.Open(path) //nolint:gosec // the caller names a model of the store
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() < 24 {
		return nil, invalid("%s is no file of 24 bytes or more", path)
	}
	b, err := memory.Map(f, int(info.Size()))
	if err != nil {
		return nil, err
	}
	file := &File{bytes: b}
	if file.values, file.tensors, err = parse(b); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), file.Close())
	}
	return file, nil
}

// Tensor returns a tensor by its name.
func (f *File) Tensor(name string) (*Tensor, error) {
	if t := f.tensors[name]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("%w: tensor %q", ErrMissing, name)
}

// Names returns the names of all tensors, in order.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.tensors)) }

// Bytes is the size of the file.
func (f *File) Bytes() int64 { return int64(len(f.bytes)) }

// Close unmaps the file. Tensors are dead afterwards.
func (f *File) Close() error {
	b := f.bytes
	f.bytes, f.tensors = nil, nil
	if b == nil {
		return nil
	}
	return memory.Unmap(b)
}

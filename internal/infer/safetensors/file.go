package safetensors

import (
	"errors"
	"fmt"
	"os"

	"github.com/selvage-dev/selvage/internal/infer/memory"
)

// file is one mapped file.
type file struct {
	bytes   []byte
	tensors map[string]*Tensor
}

func openFile(path string) (_ *file, err error) {
	f, err := os.Open(path) //nolint:gosec // the caller names a model of the store
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%w: %w", ErrMissing, err)
		}
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() < 8 {
		return nil, fmt.Errorf("%w: %s is no file of 8 bytes or more", ErrInvalid, path)
	}
	b, err := memory.Map(f, int(info.Size()))
	if err != nil {
		return nil, err
	}
	tensors, err := parse(b)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), memory.Unmap(b))
	}
	return &file{bytes: b, tensors: tensors}, nil
}

func (f *file) close() error { return memory.Unmap(f.bytes) }

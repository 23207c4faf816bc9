package safetensors

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const (
	single = "model.safetensors"
	index  = "model.safetensors.index.json"
	// The bounds maxIndex and maxShards are several times what the largest models have.
	maxIndex  = 32 << 20
	maxShards = 1000
)

// Model is the weights of a model: one file, or several and an index that says
// which tensor is in which.
type Model struct {
	files   []*file
	tensors map[string]*Tensor
}

// OpenDir opens the weights in dir, as Hugging Face lays them out. The caller
// closes them.
func OpenDir(dir string) (*Model, error) {
	names, err := shards(dir)
	if err != nil {
		return nil, err
	}
	m := &Model{tensors: make(map[string]*Tensor)}
	for _, name := range names {
		f, err := openFile(filepath.Join(dir, name))
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
		m.files = append(m.files, f)
		for n, t := range f.tensors {
			if m.tensors[n] != nil {
				return nil, errors.Join(fmt.Errorf("%w: tensor %.100q is in two files", ErrInvalid, n), m.Close())
			}
			m.tensors[n] = t
		}
	}
	return m, nil
}

// shards returns the names of the files of the model in dir.
func shards(dir string) ([]string, error) {
	f, err := os.Open(filepath.Join(dir, index)) //nolint:gosec // below the folder that the caller names
	if errors.Is(err, os.ErrNotExist) {
		return []string{single}, nil
	}
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxIndex+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	var idx struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if len(b) > maxIndex {
		return nil, fmt.Errorf("%w: %s has more than %d bytes", ErrInvalid, index, maxIndex)
	}
	if err := json.Unmarshal(b, &idx); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrInvalid, index, err)
	}
	seen := make(map[string]bool)
	var names []string
	for _, name := range idx.WeightMap {
		if seen[name] {
			continue
		}
		if !filepath.IsLocal(name) || strings.ContainsAny(name, `/\`) || !strings.HasSuffix(name, ".safetensors") {
			return nil, fmt.Errorf("%w: %s names the file %.100q", ErrInvalid, index, name)
		}
		seen[name] = true
		if names = append(names, name); len(names) > maxShards {
			return nil, fmt.Errorf("%w: %s names more than %d files", ErrInvalid, index, maxShards)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: %s names no files", ErrInvalid, index)
	}
	return names, nil
}

// Tensor returns the first of names that the model has.
func (m *Model) Tensor(names ...string) (*Tensor, error) {
	for _, n := range names {
		if t := m.tensors[n]; t != nil {
			return t, nil
		}
	}
	return nil, fmt.Errorf("%w: tensor %q", ErrMissing, names[0])
}

// Has reports whether the model has a tensor of this name.
func (m *Model) Has(name string) bool { return m.tensors[name] != nil }

// Bytes returns the size of the files.
func (m *Model) Bytes() int64 {
	var n int64
	for _, f := range m.files {
		n += int64(len(f.bytes))
	}
	return n
}

// Close unmaps the files. Tensors are dead afterwards.
func (m *Model) Close() error {
	var err error
	for _, f := range m.files {
		err = errors.Join(err, f.close())
	}
	m.files, m.tensors = nil, nil
	return err
}

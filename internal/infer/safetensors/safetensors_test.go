package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// encode returns a file with this header and body.
func encode(header string, body []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), body...)
}

func write(t *testing.T, dir, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

const header = `{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},` +
	`"h":{"dtype":"F16","shape":[4],"data_offsets":[8,16]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[16,18]}}`

func body() []byte {
	b := binary.LittleEndian.AppendUint32(nil, math.Float32bits(1.5))
	b = binary.LittleEndian.AppendUint32(b, math.Float32bits(-2))
	for _, h := range []uint16{0x3c00, 0xc000, 0x0001, 0x7c00} {
		b = binary.LittleEndian.AppendUint16(b, h)
	}
	return binary.LittleEndian.AppendUint16(b, 0x4040)
}

func TestTypes(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "model.safetensors", encode(header, body()))
	m, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()
	for name, want := range map[string][]float32{
		"a": {1.5, -2}, "h": {1, -2, float32(math.Ldexp(1, -24)), float32(math.Inf(1))}, "b": {3},
	} {
		x, err := m.Tensor("x."+name, name)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, x.Len())
		x.Floats(got, 0)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if _, err := m.Tensor("none"); !errors.Is(err, ErrMissing) {
		t.Errorf("a tensor that is not there: %v", err)
	}
	a, err := m.Tensor("a")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Want(1, 2); !errors.Is(err, ErrInvalid) {
		t.Errorf("another shape: %v", err)
	}
}

func TestShards(t *testing.T) {
	dir := t.TempDir()
	one := `{"%s":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`
	write(t, dir, "model-1.safetensors", encode(fmt.Sprintf(one, "x"), make([]byte, 4)))
	write(t, dir, "model-2.safetensors", encode(fmt.Sprintf(one, "y"), make([]byte, 4)))
	write(t, dir, index, []byte(`{"weight_map":{"x":"model-1.safetensors","y":"model-2.safetensors"}}`))
	m, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !m.Has("x") || !m.Has("y") {
		t.Error("a tensor of a shard is missing")
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	for name, idx := range map[string]string{
		"outside":  `{"weight_map":{"x":"../model.safetensors"}}`,
		"absolute": `{"weight_map":{"x":"/etc/model.safetensors"}}`,
		"not ours": `{"weight_map":{"x":"passwd"}}`,
		"empty":    `{}`,
		"no JSON":  `{`,
	} {
		write(t, dir, index, []byte(idx))
		if _, err := OpenDir(dir); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	write(t, dir, index, []byte(`{"weight_map":{"x":"model-9.safetensors"}}`))
	if _, err := OpenDir(dir); !errors.Is(err, ErrMissing) {
		t.Errorf("a shard that is not there: %v", err)
	}
}

// TestHostile holds that what a file claims is not believed.
func TestHostile(t *testing.T) {
	good := encode(header, body())
	huge := append([]byte{0, 0, 0, 0, 0, 0, 0, 0x80}, good[8:]...)
	for name, b := range map[string][]byte{
		"truncated":       good[:len(good)-1],
		"in the header":   good[:50],
		"empty":           {},
		"header of 2^63":  huge,
		"offsets swapped": encode(`{"a":{"dtype":"F32","shape":[0],"data_offsets":[4,0]}}`, make([]byte, 4)),
		"beyond":          encode(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, make([]byte, 4)),
		"overflow":        encode(`{"a":{"dtype":"F32","shape":[2147483647,2147483647,4],"data_offsets":[0,4]}}`, make([]byte, 4)),
		"negative":        encode(`{"a":{"dtype":"F32","shape":[-1,-1],"data_offsets":[0,4]}}`, make([]byte, 4)),
		"wrong size":      encode(`{"a":{"dtype":"F16","shape":[1],"data_offsets":[0,4]}}`, make([]byte, 4)),
		"type":            encode(`{"a":{"dtype":"F4","shape":[1],"data_offsets":[0,4]}}`, make([]byte, 4)),
		"one offset":      encode(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}`, make([]byte, 4)),
		"dimensions":      encode(`{"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}}`, make([]byte, 4)),
		"no JSON":         encode(`{"a":`, make([]byte, 4)),
		"deep JSON":       encode(strings.Repeat("[", 100000), nil),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, single, b)
			if m, err := OpenDir(dir); !errors.Is(err, ErrInvalid) {
				t.Errorf("%v, %v", m, err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(encode(header, body()))
	f.Add(encode(`{"a":{"dtype":"F32","shape":[2147483647,2147483647,4],"data_offsets":[0,4]}}`, make([]byte, 4)))
	f.Fuzz(func(t *testing.T, b []byte) {
		tensors, err := parse(b)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		for _, x := range tensors {
			if x.Want(x.Shape...) == nil {
				x.Floats(make([]float32, x.Len()), 0)
			}
		}
	})
}

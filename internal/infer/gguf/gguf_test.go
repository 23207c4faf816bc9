package gguf_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/selvage-dev/selvage/internal/infer/blocks"
	"github.com/selvage-dev/selvage/internal/infer/gguf"
)

// raw builds a file byte by byte, so that it may lie.
type raw struct{ bytes.Buffer }

func (r *raw) u32(v ...uint32) *raw {
	for _, x := range v {
		_ = binary.Write(&r.Buffer, binary.LittleEndian, x)
	}
	return r
}

func (r *raw) u64(v ...uint64) *raw {
	for _, x := range v {
		_ = binary.Write(&r.Buffer, binary.LittleEndian, x)
	}
	return r
}

func (r *raw) str(s string) *raw {
	r.u64(uint64(len(s)))
	r.WriteString(s)
	return r
}

func header(tensors, keys uint64) *raw {
	r := &raw{}
	r.WriteString("GGUF")
	return r.u32(3).u64(tensors, keys)
}

// good is a file with a key of each kind and two tensors.
func good() []byte {
	r := header(2, 8)
	r.str("general.architecture").u32(8).str("llama")
	r.str("a.uint").u32(4).u32(7)
	r.str("a.float").u32(6).u32(math.Float32bits(0.5))
	r.str("a.bool").u32(7).WriteByte(1)
	r.str("a.strings").u32(9, 8).u64(2).str("x").str("")
	r.str("a.floats").u32(9, 6).u64(2).u32(math.Float32bits(1), math.Float32bits(-2))
	r.str("a.ints").u32(9, 5).u64(2).u32(1, math.MaxUint32)
	r.str("a.byte").u32(0).WriteByte(255)
	r.str("t.f32").u32(2).u64(4, 2).u32(0).u64(0)
	r.str("t.q4").u32(1).u64(32).u32(2).u64(32)
	for r.Len()%32 != 0 {
		r.WriteByte(0)
	}
	for i := range 8 {
		r.u32(math.Float32bits(float32(i)))
	}
	r.Write(make([]byte, 18))
	return r.Bytes()
}

func open(t *testing.T, b []byte) (*gguf.File, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "m.gguf")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(name)
	if err == nil {
		t.Cleanup(func() { f.Close() })
	}
	return f, err
}

func TestFile(t *testing.T) {
	f, err := open(t, good())
	if err != nil {
		t.Fatal(err)
	}
	if s, err := f.String("general.architecture", ""); s != "llama" || err != nil {
		t.Errorf("a string is %q, %v", s, err)
	}
	if n, err := f.Uint("a.uint", 0); n != 7 || err != nil {
		t.Errorf("a number is %d, %v", n, err)
	}
	if n, err := f.Uint("a.byte", 0); n != 255 || err != nil {
		t.Errorf("a byte is %d, %v", n, err)
	}
	if n, err := f.Uint("no.such", 3); n != 3 || err != nil {
		t.Errorf("a fallback is %d, %v", n, err)
	}
	if v, err := f.Floats("a.floats"); len(v) != 2 || v[1] != -2 || err != nil {
		t.Errorf("fractions are %v, %v", v, err)
	}
	if v, err := f.Ints("a.ints"); len(v) != 2 || v[1] != -1 || err != nil {
		t.Errorf("whole numbers are %v, %v", v, err)
	}
	if v, err := f.Strings("a.strings"); len(v) != 2 || v[0] != "x" || err != nil {
		t.Errorf("strings are %q, %v", v, err)
	}
	if _, err := f.Strings("a.uint"); !errors.Is(err, gguf.ErrInvalid) {
		t.Errorf("a number as strings: %v", err)
	}
	w, err := f.Tensor("t.f32")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Want(4, 2); err != nil {
		t.Error(err)
	}
	if err := w.Want(2, 4); !errors.Is(err, gguf.ErrInvalid) {
		t.Errorf("another shape: %v", err)
	}
	row := make([]float32, 8)
	if blocks.F32.Floats(row, w.Data); row[7] != 7 {
		t.Errorf("numbers are %v", row)
	}
	if _, err := f.Tensor("no"); !errors.Is(err, gguf.ErrMissing) {
		t.Errorf("no tensor: %v", err)
	}
}

func TestHostile(t *testing.T) {
	key := func(n uint64) *raw { return header(0, n) }
	tensor := func(dims ...uint64) *raw {
		return header(1, 0).str("t").u32(uint32(len(dims))).u64(dims...)
	}
	for name, b := range map[string][]byte{
		"another magic":             append([]byte("GGML"), good()[4:]...),
		"2^63 tensors":              header(1<<63, 0).Bytes(),
		"2^63 keys":                 key(1 << 63).Bytes(),
		"more keys than bytes":      key(1000).Bytes(),
		"a key of 2^63 bytes":       key(1).u64(1 << 63).Bytes(),
		"a string of 2^63 bytes":    key(1).str("k").u32(8).u64(1 << 63).Bytes(),
		"an array of 2^63 strings":  key(1).str("k").u32(9, 8).u64(1 << 63).Bytes(),
		"an array of 2^60 numbers":  key(1).str("k").u32(9, 10).u64(1 << 60).Bytes(),
		"an array of arrays":        key(1).str("k").u32(9, 9).u64(1).u32(9).u64(1).Bytes(),
		"an array of no type":       key(1).str("k").u32(9, 77).u64(1).Bytes(),
		"a value of no type":        key(1).str("k").u32(77).u64(1).Bytes(),
		"a key twice":               key(2).str("k").u32(4, 1).str("k").u32(4, 1).Bytes(),
		"a key without a name":      key(1).str("").u32(4, 1).Bytes(),
		"alignment of zero":         key(1).str("general.alignment").u32(4, 0).Bytes(),
		"alignment that is text":    key(1).str("general.alignment").u32(8).str("32").Bytes(),
		"a tensor of 2^63 numbers":  tensor(1 << 63).u32(0).u64(0).Bytes(),
		"a product that overflows":  tensor(1<<32, 1<<32).u32(0).u64(0).Bytes(),
		"a dimension of zero":       tensor(0).u32(0).u64(0).Bytes(),
		"no dimensions":             tensor().u32(0).u64(0).Bytes(),
		"a tensor of no dimensions": tensor(1, 1, 1, 1, 1).u32(0).u64(0).Bytes(),
		"a tensor beyond the file":  tensor(64).u32(0).u64(0).Bytes(),
		"an offset of 2^63":         append(tensor(1).u32(0).u64(1<<63).Bytes(), make([]byte, 64)...),
		"an offset not aligned":     append(tensor(1).u32(0).u64(4).Bytes(), make([]byte, 64)...),
		"half a block":              append(tensor(48).u32(2).u64(0).Bytes(), make([]byte, 64)...),
		"a tensor twice": append(header(2, 0).str("t").u32(1).u64(1).u32(0).u64(0).str("t").u32(1).u64(1).u32(0).u64(0).Bytes(),
			make([]byte, 64)...),
	} {
		if _, err := open(t, b); !errors.Is(err, gguf.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	all := good()
	for n := range all {
		if f, err := open(t, all[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes open: %v", n, len(all), f.Names())
		}
	}
	if _, err := open(t, header(0, 0).Bytes()); err != nil {
		t.Errorf("an empty file: %v", err)
	}
	old := good()
	old[4] = 1
	if _, err := open(t, old); !errors.Is(err, gguf.ErrUnsupported) {
		t.Errorf("version 1: %v", err)
	}
	f, err := open(t, append(tensor(32).u32(6).u64(0).Bytes(), make([]byte, 64)...))
	if err != nil {
		t.Fatal(err)
	}
	w, _ := f.Tensor("t")
	if err := w.Want(32); !errors.Is(err, gguf.ErrUnsupported) {
		t.Errorf("Q5_0: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(good())
	f.Add(header(0, 1).str("k").u32(9, 8).u64(3).str("a").Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		name := filepath.Join(t.TempDir(), "m.gguf")
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := gguf.Open(name)
		if err != nil {
			return
		}
		for _, n := range file.Names() {
			w, _ := file.Tensor(n)
			numbers := 1
			for _, d := range w.Shape {
				numbers *= d
			}
			if w.Want(w.Shape...) == nil {
				w.Type.Floats(make([]float32, numbers), w.Data)
			}
		}
		file.Close()
	})
}

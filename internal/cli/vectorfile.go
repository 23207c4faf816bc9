package cli

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/selvage-dev/selvage/client"
)

// vectorReader reads a file of vectors; next returns the JSON of one, which is good
// until the next call, or io.EOF.
type vectorReader interface {
	next() ([]byte, error)
}

// newVectorReader reads a file as its name says what it is. Files without ids number
// their vectors: prefix is what is put before the number.
func newVectorReader(name string, r io.Reader, prefix string) (vectorReader, error) {
	in := bufio.NewReaderSize(r, 1<<20)
	switch ext := strings.ToLower(filepath.Ext(name)); ext {
	case ".ndjson", ".jsonl", ".json", "":
		s := bufio.NewScanner(in)
		const longest = 2 << 20
		s.Buffer(make([]byte, 0, 64<<10), longest)
		return &lineReader{s: s}, nil
	case ".npy":
		return newNumpyReader(in, prefix)
	case ".fvecs":
		return &fvecsReader{in: in, numbered: numbered{prefix: prefix}}, nil
	default:
		return nil, fmt.Errorf("%s: files that end in %s are not read; there are .ndjson, .npy and .fvecs", name, ext)
	}
}

type lineReader struct{ s *bufio.Scanner }

func (l *lineReader) next() ([]byte, error) {
	for l.s.Scan() {
		if line := bytes.TrimSpace(l.s.Bytes()); len(line) > 0 {
			return line, nil
		}
	}
	if err := l.s.Err(); err != nil {
		return nil, err
	}
	return nil, io.EOF
}

// numbered makes JSON of vectors that have no ids.
type numbered struct {
	prefix string
	row    int
	out    []byte
}

func (n *numbered) line(values []float32) ([]byte, error) {
	n.out = strconv.AppendQuote(append(n.out[:0], `{"id":`...), n.prefix+strconv.Itoa(n.row))
	n.out = append(n.out, `,"values":[`...)
	for i, x := range values {
		if x-x != 0 {
			return nil, fmt.Errorf("value %d of vector %d is not a finite number", i, n.row)
		}
		if i > 0 {
			n.out = append(n.out, ',')
		}
		n.out = strconv.AppendFloat(n.out, float64(x), 'g', -1, 32)
	}
	n.row++
	return append(n.out, "]}"...), nil
}

// fvecsReader reads vectors each of which is its length and then its values, of 32
// bits, little-endian.
type fvecsReader struct {
	numbered

	in     io.Reader
	buf    []byte
	values []float32
}

const maxFileDimensions = 1 << 16

func (f *fvecsReader) next() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(f.in, head[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		return nil, fmt.Errorf("vector %d breaks off", f.row)
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n == 0 || n > maxFileDimensions {
		return nil, fmt.Errorf("vector %d says that it has %d values: this is no .fvecs file", f.row, n)
	}
	f.buf = append(f.buf[:0], make([]byte, 4*n)...)
	if _, err := io.ReadFull(f.in, f.buf); err != nil {
		return nil, fmt.Errorf("vector %d breaks off", f.row)
	}
	f.values = f.values[:0]
	for i := range int(n) {
		f.values = append(f.values, math.Float32frombits(binary.LittleEndian.Uint32(f.buf[4*i:])))
	}
	return f.line(f.values)
}

// numpyReader reads a two-dimensional array of NumPy, of float32 or float64.
type numpyReader struct {
	numbered

	in     io.Reader
	rows   int
	size   int // bytes of a number
	buf    []byte
	values []float32
}

// newNumpyReader reads the head of the format, versions 1 to 3: a magic string, the
// length of a text, and the text, a Python dictionary.
func newNumpyReader(in io.Reader, prefix string) (*numpyReader, error) {
	var magic [8]byte
	if _, err := io.ReadFull(in, magic[:]); err != nil || string(magic[:6]) != "\x93NUMPY" {
		return nil, errors.New("this is no .npy file")
	}
	size := make([]byte, 2)
	if magic[6] > 1 {
		size = make([]byte, 4)
	}
	if _, err := io.ReadFull(in, size); err != nil {
		return nil, errors.New("the .npy file breaks off")
	}
	length := int(size[0]) | int(size[1])<<8 // those of versions 2 and 3 are no longer either
	const longest = 1 << 16
	if length > longest || len(size) == 4 && (size[2] != 0 || size[3] != 0) {
		return nil, errors.New("the head of the .npy file is too long")
	}
	head := make([]byte, length)
	if _, err := io.ReadFull(in, head); err != nil {
		return nil, errors.New("the .npy file breaks off")
	}
	r := &numpyReader{in: in, numbered: numbered{prefix: prefix}}
	switch {
	case bytes.Contains(head, []byte("'<f4'")):
		r.size = 4
	case bytes.Contains(head, []byte("'<f8'")):
		r.size = 8
	default:
		return nil, errors.New("the .npy file must hold float32 or float64, little-endian: save it with .astype(\"float32\")")
	}
	shape := regexp.MustCompile(`'shape': \((\d{1,10}), (\d{1,6})\)`).FindSubmatch(head)
	if shape == nil || !bytes.Contains(head, []byte("'fortran_order': False")) {
		return nil, errors.New("the .npy file must hold one array of two dimensions, row after row: save it with numpy.ascontiguousarray")
	}
	r.rows, _ = strconv.Atoi(string(shape[1]))
	cols, _ := strconv.Atoi(string(shape[2]))
	if cols == 0 || cols > maxFileDimensions {
		return nil, fmt.Errorf("the .npy file has vectors of %d values", cols)
	}
	r.buf, r.values = make([]byte, r.size*cols), make([]float32, cols)
	return r, nil
}

func (r *numpyReader) next() ([]byte, error) {
	if r.row == r.rows {
		return nil, io.EOF
	}
	if _, err := io.ReadFull(r.in, r.buf); err != nil {
		return nil, fmt.Errorf("the .npy file breaks off after %d of %d vectors", r.row, r.rows)
	}
	for i := range r.values {
		if r.size == 4 {
			r.values[i] = math.Float32frombits(binary.LittleEndian.Uint32(r.buf[4*i:]))
		} else {
			r.values[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(r.buf[8*i:])))
		}
	}
	return r.line(r.values)
}

// readQueries reads the vectors of a file, at most so many.
func readQueries(r vectorReader, most int) ([]client.Vector, error) {
	var out []client.Vector
	for len(out) < most {
		line, err := r.next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		var v client.Vector
		if err := json.Unmarshal(line, &v); err != nil {
			return nil, fmt.Errorf("vector %d: %w", len(out)+1, err)
		}
		out = append(out, v)
	}
	return out, nil
}

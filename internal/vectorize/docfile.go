package vectorize

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// A file of documents has what belongs to the rows of a segment beside their
// vectors: ids, metadata, and columns of the metadata indexes. Rows are in the order
// of their namespaces, then of their ids. Integers are little-endian; each section
// begins at a multiple of eight.
//
//	offsets  8 each, one more than rows: where in texts a row begins
//	ids      4 each: the rows in the order of their ids
//	seqs     8 each: the mutation that brought the row
//	columns  see columnRef
//	texts    of each row: length of the id 1 · id · metadata
//	tail     JSON of docTail · its length 4 · checksum of all before 4 · "selvdoc1" 8
const (
	docMagic   = "selvdoc1"
	docTailEnd = 4 + 4 + 8
)

// docTail says where in the file things are, in bytes.
type docTail struct {
	Rows    int         `json:"rows"`
	Offsets uint64      `json:"offsets"`
	IDs     uint64      `json:"ids"`
	Seqs    uint64      `json:"seqs"`
	Texts   uint64      `json:"texts"`
	Spaces  []spaceRef  `json:"spaces"`
	Columns []columnRef `json:"columns"`
}

// spaceRef is a namespace: its rows are those from the end of the one before to End.
type spaceRef struct {
	Name string `json:"name"`
	End  int    `json:"end"`
}

// columnRef is what a metadata index holds of a segment. Its distinct values are
// numbered in their order from 1; 0 stands for none.
//
//	values   numbers and booleans: 8 each; strings: where each ends 4 each · their bytes
//	numbers  4 each row: the number of its value
//	starts   4 each, one more than values: where in rows a value's begin
//	rows     4 each: the rows of the first value, ascending, then those of the second
type columnRef struct {
	MetadataIndex

	Count   int    `json:"count"` // of values
	Present int    `json:"present"`
	Values  uint64 `json:"values"`
	Bytes   uint64 `json:"bytes"` // of strings
	Numbers uint64 `json:"numbers"`
	Starts  uint64 `json:"starts"`
	Rows    uint64 `json:"rows"`
}

// doc is a row while a file is written.
type doc struct {
	id       string
	ns       string
	metadata []byte
	seq      uint64
}

// docSource gives the rows, each of them several times and in any order.
type docSource interface {
	Len() int
	doc(row int) doc
}

// docWriter writes one file of documents.
type docWriter struct {
	out *bufio.Writer
	at  uint64
	sum uint32
	err error
	src docSource
	t   docTail
}

// writeDocs writes the rows of src, which are in order, to path.
func writeDocs(fs fsx.FS, path string, src docSource, meta []MetadataIndex) error {
	f, err := fs.CreateTemp(filepath.Dir(path), filepath.Base(path))
	if err != nil {
		return err
	}
	w := &docWriter{out: bufio.NewWriterSize(fs.Writer(f), 1<<20), src: src}
	if err := w.file(meta); err != nil {
		return errors.Join(err, fs.Discard(f))
	}
	return fs.Commit(f, path)
}

func (w *docWriter) file(meta []MetadataIndex) error {
	n := w.src.Len()
	w.t.Rows = n
	w.t.Offsets = w.at
	offset := uint64(0)
	order := make([]uint32, n)
	w.u64(0)
	for i := range n {
		d := w.src.doc(i)
		offset += uint64(1 + len(d.id) + len(d.metadata))
		w.u64(offset)
		order[i] = uint32(i)
		if last := len(w.t.Spaces) - 1; last >= 0 && w.t.Spaces[last].Name == d.ns {
			w.t.Spaces[last].End = i + 1
		} else {
			w.t.Spaces = append(w.t.Spaces, spaceRef{d.ns, i + 1})
		}
	}
	if len(w.t.Spaces) > 1 { // else the rows are in the order of their ids
		ids := make([]string, n)
		for i := range n {
			ids[i] = w.src.doc(i).id
		}
		slices.SortFunc(order, func(a, b uint32) int { return compareStrings(ids[a], ids[b]) })
	}
	w.t.IDs = w.at
	w.u32s(order)
	w.pad()
	w.t.Seqs = w.at
	for i := range n {
		w.u64(w.src.doc(i).seq)
	}
	w.columns(meta)
	w.t.Texts = w.at
	for i := range n {
		d := w.src.doc(i)
		w.bytes([]byte{byte(len(d.id))}) //nolint:gosec // a limit of ids
		w.bytes([]byte(d.id))
		w.bytes(d.metadata)
	}
	return w.tail()
}

func (w *docWriter) tail() error {
	raw, err := json.Marshal(&w.t)
	if err != nil {
		return err
	}
	w.bytes(raw)
	w.bytes(binary.LittleEndian.AppendUint32(nil, uint32(len(raw)))) //nolint:gosec // bounded by namespaces
	sum := w.sum
	w.bytes(binary.LittleEndian.AppendUint32(nil, sum))
	w.bytes([]byte(docMagic))
	if w.err != nil {
		return w.err
	}
	return w.out.Flush()
}

// columns writes a column for each metadata index.
func (w *docWriter) columns(meta []MetadataIndex) {
	if len(meta) == 0 {
		return
	}
	n := w.src.Len()
	values := make([][]scalar, len(meta))
	for c := range meta {
		values[c] = make([]scalar, n)
	}
	for i := range n {
		d := w.src.doc(i)
		for c, v := range indexed(meta, d.metadata, d.seq) {
			values[c][i] = v
		}
	}
	for c := range meta {
		w.column(meta[c], values[c])
		values[c] = nil
	}
}

func (w *docWriter) column(meta MetadataIndex, values []scalar) {
	distinct := slices.Clone(values)
	distinct = slices.DeleteFunc(distinct, func(s scalar) bool { return s.kind == missing })
	ref := columnRef{MetadataIndex: meta, Present: len(distinct)}
	slices.SortFunc(distinct, scalar.compare)
	distinct = slices.Compact(distinct)
	ref.Count = len(distinct)
	numbers := make([]uint32, len(values))
	starts := make([]uint32, len(distinct)+1)
	for i, v := range values {
		if v.kind == missing {
			continue
		}
		at, _ := slices.BinarySearchFunc(distinct, v, scalar.compare)
		numbers[i] = uint32(at + 1) //nolint:gosec // below the rows
		starts[at+1]++
	}
	for i := 1; i < len(starts); i++ {
		starts[i] += starts[i-1]
	}
	rows := make([]uint32, ref.Present)
	next := slices.Clone(starts)
	for i, k := range numbers {
		if k > 0 {
			rows[next[k-1]] = uint32(i)
			next[k-1]++
		}
	}
	w.pad()
	ref.Values = w.at
	w.values(&ref, distinct)
	w.pad()
	ref.Numbers = w.at
	w.u32s(numbers)
	ref.Starts = w.at
	w.u32s(starts)
	ref.Rows = w.at
	w.u32s(rows)
	w.pad()
	w.t.Columns = append(w.t.Columns, ref)
}

func (w *docWriter) values(ref *columnRef, distinct []scalar) {
	if ref.Type != IndexString {
		for _, v := range distinct {
			w.u64(math.Float64bits(v.num))
		}
		return
	}
	end := uint32(0)
	for _, v := range distinct {
		end += uint32(len(v.str)) //nolint:gosec // 64 bytes each
		w.bytes(binary.LittleEndian.AppendUint32(nil, end))
	}
	ref.Bytes = w.at
	for _, v := range distinct {
		w.bytes([]byte(v.str))
	}
}

func (w *docWriter) bytes(b []byte) {
	if w.err != nil {
		return
	}
	_, w.err = w.out.Write(b)
	w.sum = crc32.Update(w.sum, crc32.MakeTable(crc32.Castagnoli), b)
	w.at += uint64(len(b))
}

func (w *docWriter) u64(x uint64) { w.bytes(binary.LittleEndian.AppendUint64(nil, x)) }

func (w *docWriter) u32s(xs []uint32) {
	var buf [4096]byte
	for len(xs) > 0 {
		n := min(len(xs), len(buf)/4)
		for i, x := range xs[:n] {
			binary.LittleEndian.PutUint32(buf[4*i:], x)
		}
		w.bytes(buf[:4*n])
		xs = xs[n:]
	}
}

func (w *docWriter) pad() {
	for w.at%8 != 0 && w.err == nil {
		w.bytes([]byte{0})
	}
}

func compareStrings(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// readTail checks a whole file of documents and returns where in it things are.
func readTail(path string, data []byte) (*docTail, error) {
	bad := func(reason string) error { return &CorruptError{Path: path, Offset: int64(len(data)), Reason: reason} }
	n := len(data) - docTailEnd
	if n < 0 || string(data[n+8:]) != docMagic {
		return nil, bad("it does not end as a file of documents")
	}
	if checksum(data[:n+4]) != binary.LittleEndian.Uint32(data[n+4:]) {
		return nil, bad("the checksum does not match")
	}
	size := int(binary.LittleEndian.Uint32(data[n:]))
	if size > n {
		return nil, bad("its tail is longer than the file")
	}
	var t docTail
	if err := json.Unmarshal(data[n-size:n], &t); err != nil {
		return nil, bad(fmt.Sprintf("its tail is not JSON: %v", err))
	}
	return &t, nil
}

// removeFiles removes files that nothing names any more; one that stays is removed
// when the index is opened again.
func removeFiles(fs fsx.FS, paths ...string) error {
	var errs []error
	for _, p := range paths {
		if err := fs.Remove(p); err != nil && !os.IsNotExist(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

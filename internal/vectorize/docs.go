package vectorize

import (
	"math"
	"slices"
	"sort"
	"unsafe"
)

// docs is an open file of documents.
type docs struct {
	data []byte // mapped
	t    *docTail

	offsets []uint64
	ids     []uint32
	seqs    []uint64
	texts   []byte
	columns []column
	spaces  map[string][2]int // first row, end
}

// openDocs maps the file at path, which it checks wholly.
func openDocs(path string) (*docs, error) {
	data, err := mapFile(path)
	if err != nil {
		return nil, err
	}
	d := &docs{data: data, spaces: make(map[string][2]int)}
	if d.t, err = readTail(path, data); err != nil {
		_ = unmapFile(data)
		return nil, err
	}
	n := d.t.Rows
	d.offsets = view[uint64](data, d.t.Offsets, n+1)
	d.ids = view[uint32](data, d.t.IDs, n)
	d.seqs = view[uint64](data, d.t.Seqs, n)
	d.texts = data[d.t.Texts:]
	first := 0
	for _, s := range d.t.Spaces {
		d.spaces[s.Name] = [2]int{first, s.End}
		first = s.End
	}
	for i := range d.t.Columns {
		d.columns = append(d.columns, openColumn(data, &d.t.Columns[i], n))
	}
	return d, nil
}

func (d *docs) close() error { return unmapFile(d.data) }

// view returns n numbers of the file as they lie there. The checksum has been
// checked, so that the offsets are those that were written; every platform that
// this is built for is little-endian, as package ann holds.
func view[T uint32 | uint64 | float64](data []byte, at uint64, n int) []T {
	if n == 0 {
		return nil
	}
	var zero T
	b := data[at : at+uint64(n)*uint64(unsafe.Sizeof(zero))] //nolint:gosec // not negative
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), n)      //nolint:gosec // aligned, see docfile.go
}

func (d *docs) text(row uint32) []byte { return d.texts[d.offsets[row]:d.offsets[row+1]] }

// id returns the id of a row; it shares the mapping's memory.
func (d *docs) id(row uint32) []byte {
	t := d.text(row)
	return t[1 : 1+int(t[0])]
}

// metadata returns the metadata of a row, nil for none; it shares the mapping's memory.
func (d *docs) metadata(row uint32) []byte {
	t := d.text(row)
	if m := t[1+int(t[0]):]; len(m) > 0 {
		return m
	}
	return nil
}

// space returns the namespace of a row.
func (d *docs) space(row uint32) string {
	i := sort.Search(len(d.t.Spaces), func(i int) bool { return d.t.Spaces[i].End > int(row) })
	return d.t.Spaces[i].Name
}

// at returns the place in the order of ids of the first that is not below id.
func (d *docs) at(id string) int {
	return sort.Search(len(d.ids), func(i int) bool { return string(d.id(d.ids[i])) >= id })
}

// find returns the row of an id.
func (d *docs) find(id string) (uint32, bool) {
	i := d.at(id)
	if i == len(d.ids) || string(d.id(d.ids[i])) != id {
		return 0, false
	}
	return d.ids[i], true
}

// column is the column of a metadata index.
type column struct {
	ref     *columnRef
	nums    []float64
	ends    []uint32 // of strings
	strs    []byte
	numbers []uint32
	starts  []uint32
	rows    []uint32
}

func openColumn(data []byte, ref *columnRef, rows int) column {
	c := column{ref: ref}
	if ref.Type == IndexString {
		c.ends = view[uint32](data, ref.Values, ref.Count)
		c.strs = data[ref.Bytes:]
	} else {
		c.nums = view[float64](data, ref.Values, ref.Count)
	}
	c.numbers = view[uint32](data, ref.Numbers, rows)
	c.starts = view[uint32](data, ref.Starts, ref.Count+1)
	c.rows = view[uint32](data, ref.Rows, ref.Present)
	return c
}

func (c *column) value(i int) scalar {
	switch c.ref.Type {
	case IndexString:
		from := uint32(0)
		if i > 0 {
			from = c.ends[i-1]
		}
		return scalar{kind: text, str: string(c.strs[from:c.ends[i]])}
	case IndexBoolean:
		return scalar{kind: boolean, num: c.nums[i]}
	case IndexNumber:
	}
	return scalar{kind: number, num: c.nums[i]}
}

// search returns the first value that is not below s, or with after above it.
func (c *column) search(s scalar, after bool) int {
	return sort.Search(c.ref.Count, func(i int) bool {
		n := c.value(i).compare(s)
		return n > 0 || n == 0 && !after
	})
}

// span is a run of values, from the first to before the end.
type span struct{ from, to int }

// spans returns the values that a condition asks for, before its negation, and
// whether rows without a value are among them.
func (c *column) spans(f *condition) (out []span, none bool) {
	if f.in == nil {
		s := span{0, c.ref.Count}
		if f.low.kind != missing {
			s.from = c.search(f.low, f.lowOpen)
			s.to = c.search(scalar{kind: f.low.kind + 1, num: math.Inf(-1)}, false)
		}
		if f.high.kind != missing {
			s.to = c.search(f.high, !f.highOpen)
			if f.low.kind == missing {
				s.from = c.search(scalar{kind: f.high.kind, num: math.Inf(-1)}, false)
			}
		}
		if s.from < s.to {
			out = append(out, s)
		}
		return out, false
	}
	for _, v := range f.in {
		if v.kind == missing {
			none = true
			continue
		}
		if i := c.search(v, false); i < c.ref.Count && c.value(i) == v {
			out = append(out, span{i, i + 1})
		}
	}
	return out, none
}

// each calls add for each row from first to before end that satisfies the condition.
func (c *column) each(f *condition, first, end int, add func(row uint32)) {
	spans, none := c.spans(f)
	total := 0
	for _, s := range spans {
		total += int(c.starts[s.to] - c.starts[s.from])
	}
	if !f.not && !none && total < (end-first)/8 {
		c.listed(spans, first, end, add)
		return
	}
	for row := first; row < end; row++ {
		if c.holds(spans, none, c.numbers[row]) != f.not {
			add(uint32(row)) //nolint:gosec // below the rows
		}
	}
}

// listed goes through the lists of rows of few values.
func (c *column) listed(spans []span, first, end int, add func(row uint32)) {
	for _, s := range spans {
		for v := s.from; v < s.to; v++ {
			rows := c.rows[c.starts[v]:c.starts[v+1]]
			at, _ := slices.BinarySearch(rows, uint32(first)) //nolint:gosec // below the rows
			for _, row := range rows[at:] {
				if int(row) >= end {
					break
				}
				add(row)
			}
		}
	}
}

// holds reports whether the value of a number, 0 for none, is in one of the spans,
// which are in order.
func (c *column) holds(spans []span, none bool, number uint32) bool {
	if number == 0 {
		return none
	}
	v := int(number - 1)
	if len(spans) == 1 {
		return v >= spans[0].from && v < spans[0].to
	}
	i := sort.Search(len(spans), func(i int) bool { return spans[i].to > v })
	return i < len(spans) && spans[i].from <= v
}

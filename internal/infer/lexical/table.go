package lexical

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
)

// ErrInvalid is a table that breaks the format.
var ErrInvalid = errors.New("invalid table of words")

const (
	magic   = "selvlex1"
	header  = len(magic) + 3*4
	maxDims = 4096
)

// Table is words and their vectors. It is safe for concurrent use.
type Table struct {
	dims   int
	mean   []float32
	words  string
	starts []uint32 // of each word in words, and of the end
	scales string   // float32
	rows   string   // int8
}

// Parse reads a table. It keeps data.
func Parse(data string) (*Table, error) {
	if len(data) < header || data[:len(magic)] != magic {
		return nil, fmt.Errorf("%w: it does not begin as one", ErrInvalid)
	}
	n := func(i int) uint64 { return uint64(number(data[len(magic):], i)) }
	dims, count, text := n(0), n(1), n(2)
	// None of these can overflow: each is below 2^32, dims below 2^12.
	if dims == 0 || dims > maxDims || count == 0 || text%4 != 0 || uint64(header)+4*dims+text+count*(4+dims) != uint64(len(data)) {
		return nil, fmt.Errorf("%w: %d bytes cannot hold %d words of %d dimensions", ErrInvalid, len(data), count, dims)
	}
	t := &Table{dims: int(dims), mean: make([]float32, dims)}
	rest := data[header:]
	for i := range t.mean {
		t.mean[i] = math.Float32frombits(number(rest, i))
	}
	rest = rest[4*dims:]
	t.words, t.scales, t.rows = rest[:text], rest[text:text+4*count], rest[text+4*count:]
	return t, t.index(int(count)) //nolint:gosec // bounded by len(data)
}

// index finds the words, and holds that they are sorted: lookup halves.
func (t *Table) index(count int) error {
	t.starts = make([]uint32, 1, count+1)
	last, rest := "", t.words
	for range count {
		word, after, ok := strings.Cut(rest, "\n")
		if !ok || word <= last {
			return fmt.Errorf("%w: the words are not sorted, or too few", ErrInvalid)
		}
		last, rest = word, after
		t.starts = append(t.starts, uint32(len(t.words)-len(rest))) //nolint:gosec // below 2^32
	}
	if strings.Trim(rest, "\n") != "" {
		return fmt.Errorf("%w: there are more words than vectors", ErrInvalid)
	}
	return nil
}

// number reads the i-th of 32 bits.
func number(s string, i int) uint32 {
	b := s[4*i : 4*i+4]
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

// Dimensions is the length of a vector.
func (t *Table) Dimensions() int { return t.dims }

// Words is how many there are.
func (t *Table) Words() int { return len(t.starts) - 1 }

// Has says whether a word is there.
func (t *Table) Has(word string) bool { return t.find(word) >= 0 }

func (t *Table) word(i int) string { return t.words[t.starts[i] : t.starts[i+1]-1] }

// find returns the place of a word, -1 without one.
func (t *Table) find(word string) int {
	low, high := 0, t.Words()
	for low < high {
		if mid := (low + high) / 2; t.word(mid) < word {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low < t.Words() && t.word(low) == word {
		return low
	}
	return -1
}

// add adds a word's vector, with its weight.
func (t *Table) add(sum []float32, i int) {
	scale := math.Float32frombits(number(t.scales, i))
	row := t.rows[i*t.dims : (i+1)*t.dims]
	for k := range sum {
		sum[k] += scale * float32(int8(row[k])) //nolint:gosec // it is one
	}
}

// Entry is one word of [Append].
type Entry struct {
	Word   string
	Weight float32
	Vector []float32
}

// Append writes a table: entries are sorted by word, vectors as long as mean.
func Append(out []byte, mean []float32, entries []Entry) []byte {
	var text strings.Builder
	for i := range entries {
		text.WriteString(entries[i].Word + "\n")
	}
	for text.Len()%4 != 0 {
		text.WriteByte('\n')
	}
	out = append(out, magic...)
	for _, n := range []int{len(mean), len(entries), text.Len()} {
		out = binary.LittleEndian.AppendUint32(out, uint32(n)) //nolint:gosec // of a table
	}
	for _, x := range mean {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
	}
	out = append(out, text.String()...)
	var rows []byte
	for i := range entries {
		var norm float64
		var most float32
		for _, x := range entries[i].Vector {
			norm += float64(x) * float64(x)
			most = max(most, x, -x)
		}
		scale := float32(0)
		if norm > 0 {
			scale = entries[i].Weight * most / 127 / float32(math.Sqrt(norm))
		}
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(scale))
		for _, x := range entries[i].Vector {
			q := int8(0)
			if most > 0 {
				q = int8(math.RoundToEven(float64(x) / float64(most) * 127))
			}
			rows = append(rows, byte(q))
		}
	}
	return append(out, rows...)
}

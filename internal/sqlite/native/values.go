package native

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Kind is the type of a value (https://sqlite.org/c3ref/c_blob.html, with 0 for NULL).
type Kind byte

// The kinds of values.
const (
	Null    Kind = 0
	Integer Kind = 1
	Float   Kind = 2
	Text    Kind = 3
	Blob    Kind = 4
)

// Args are the values for a statement's parameters, encoded for the call: a kind
// byte, then 8 bytes or a length of 4 bytes and the bytes themselves, little
// endian. The zero value is ready; Reset makes it ready again.
type Args struct {
	buf   []byte
	count int
}

// Reset empties a without giving its memory back.
func (a *Args) Reset() { a.buf, a.count = a.buf[:0], 0 }

// Len returns the number of values.
func (a *Args) Len() int { return a.count }

// Null appends NULL.
func (a *Args) Null() {
	a.buf = append(a.buf, byte(Null))
	a.count++
}

// Int appends an integer.
func (a *Args) Int(v int64) {
	a.buf = binary.LittleEndian.AppendUint64(append(a.buf, byte(Integer)), uint64(v)) //nolint:gosec // the same bits
	a.count++
}

// Float appends a floating-point number; NaN becomes NULL, as SQLite has none.
func (a *Args) Float(v float64) {
	a.buf = binary.LittleEndian.AppendUint64(append(a.buf, byte(Float)), math.Float64bits(v))
	a.count++
}

// Text appends a string.
func (a *Args) Text(v string) { a.bytes(Text, len(v)); a.buf = append(a.buf, v...) }

// Blob appends bytes.
func (a *Args) Blob(v []byte) { a.bytes(Blob, len(v)); a.buf = append(a.buf, v...) }

func (a *Args) bytes(kind Kind, n int) {
	a.buf = binary.LittleEndian.AppendUint32(append(a.buf, byte(kind)), uint32(n)) //nolint:gosec // requests are far smaller
	a.count++
}

// Value is one value of a row. Data belongs to the result.
type Value struct {
	Kind  Kind
	Int   int64
	Float float64
	Data  []byte // of Text and Blob
}

// Next takes the first value off rows, which must have one.
func Next(rows []byte) (v Value, rest []byte) {
	v.Kind = Kind(rows[0])
	switch v.Kind {
	case Integer:
		v.Int = int64(binary.LittleEndian.Uint64(rows[1:])) //nolint:gosec // the same bits
		return v, rows[9:]
	case Float:
		v.Float = math.Float64frombits(binary.LittleEndian.Uint64(rows[1:]))
		return v, rows[9:]
	case Text, Blob:
		end := 5 + int(binary.LittleEndian.Uint32(rows[1:]))
		v.Data = rows[5:end:end]
		return v, rows[end:]
	case Null:
		return v, rows[1:]
	}
	panic(fmt.Sprintf("native: a value of kind %d", v.Kind))
}

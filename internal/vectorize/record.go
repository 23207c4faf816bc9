package vectorize

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/google/uuid"
)

// operation is what a mutation does.
type operation byte

const (
	opInsert operation = iota + 1 // ids that exist stay as they are
	opUpsert
	opDelete
	opCreateIndex // of metadata
	opDeleteIndex
)

// mutation is one call that changes an index, numbered in the order of the log.
type mutation struct {
	op   operation
	id   uuid.UUID
	seq  uint64
	time time.Time // of milliseconds

	vectors  []Vector      // insert, upsert
	ids      []string      // delete
	metadata MetadataIndex // create, delete
}

// MetadataIndex makes a property of metadata one that filters can ask for.
type MetadataIndex struct {
	Property string    `json:"property"`
	Type     IndexType `json:"type"`
	// Since is the number of the first mutation whose vectors are in the index.
	Since uint64 `json:"since"`
}

// Integers are little-endian. A record is
//
//	op 1 · id 16 · seq 8 · time 8 (ms since 1970) · count 4 · items
//
// and an item a string (length 4 · bytes) for an id, or for a vector its id, its
// namespace, its metadata, each a string, and count 4 · values 4 each.
const recordHead = 1 + 16 + 8 + 8 + 4

func (m *mutation) size() int {
	n := recordHead
	for i := range m.vectors {
		v := &m.vectors[i]
		n += 16 + len(v.ID) + len(v.Namespace) + len(v.Metadata) + 4*len(v.Values)
	}
	for _, id := range m.ids {
		n += 4 + len(id)
	}
	return n + 8 + len(m.metadata.Property) + len(m.metadata.Type)
}

func (m *mutation) append(out []byte) []byte {
	out = append(out, byte(m.op))
	out = append(out, m.id[:]...)
	out = binary.LittleEndian.AppendUint64(out, m.seq)
	out = binary.LittleEndian.AppendUint64(out, uint64(m.time.UnixMilli()))
	switch m.op {
	case opInsert, opUpsert:
		out = appendCount(out, len(m.vectors))
		for i := range m.vectors {
			out = appendVector(out, &m.vectors[i])
		}
	case opDelete:
		out = appendCount(out, len(m.ids))
		for _, id := range m.ids {
			out = appendString(out, id)
		}
	case opCreateIndex, opDeleteIndex:
		out = appendCount(out, 1)
		out = appendString(out, m.metadata.Property)
		out = appendString(out, string(m.metadata.Type))
	}
	return out
}

func appendVector(out []byte, v *Vector) []byte {
	out = appendString(out, v.ID)
	out = appendString(out, v.Namespace)
	out = appendString(out, string(v.Metadata))
	out = appendCount(out, len(v.Values))
	for _, x := range v.Values {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
	}
	return out
}

func appendCount(out []byte, n int) []byte {
	return binary.LittleEndian.AppendUint32(out, uint32(n)) //nolint:gosec // bounded by the limits of a call
}

func appendString(out []byte, s string) []byte { return append(appendCount(out, len(s)), s...) }

var errRecord = errors.New("a record is not of this format")

// decoder reads records. Its first error stays.
type decoder struct {
	data []byte
	err  error
}

func (d *decoder) take(n int) []byte {
	if d.err != nil || n < 0 || n > len(d.data) {
		d.err = errRecord
		return nil
	}
	out := d.data[:n]
	d.data = d.data[n:]
	return out
}

func (d *decoder) u32() int {
	b := d.take(4)
	if b == nil {
		return 0
	}
	return int(binary.LittleEndian.Uint32(b))
}

func (d *decoder) u64() uint64 {
	b := d.take(8)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

func (d *decoder) string() string { return string(d.take(d.u32())) }

// count reads how many items follow, each of at least size bytes.
func (d *decoder) count(size int) int {
	n := d.u32()
	if n > len(d.data)/size {
		d.err = errRecord
		return 0
	}
	return n
}

func (d *decoder) vector() Vector {
	v := Vector{ID: d.string(), Namespace: d.string()}
	if raw := d.take(d.u32()); len(raw) > 0 {
		v.Metadata = append([]byte(nil), raw...)
	}
	raw := d.take(4 * d.count(4))
	v.Values = make([]float32, len(raw)/4)
	for i := range v.Values {
		v.Values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return v
}

func (d *decoder) mutation() (mutation, error) {
	head := d.take(1)
	if d.err != nil {
		return mutation{}, d.err
	}
	m := mutation{op: operation(head[0])}
	copy(m.id[:], d.take(16))
	m.seq = d.u64()
	m.time = time.UnixMilli(int64(d.u64())).UTC() //nolint:gosec // as it was written
	switch m.op {
	case opInsert, opUpsert:
		m.vectors = make([]Vector, d.count(16))
		for i := range m.vectors {
			m.vectors[i] = d.vector()
		}
	case opDelete:
		m.ids = make([]string, d.count(4))
		for i := range m.ids {
			m.ids[i] = d.string()
		}
	case opCreateIndex, opDeleteIndex:
		if d.count(8) != 1 {
			d.err = errRecord
		}
		m.metadata = MetadataIndex{Property: d.string(), Type: IndexType(d.string()), Since: m.seq}
	default:
		d.err = errRecord
	}
	return m, d.err
}

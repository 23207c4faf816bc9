package workerd

import (
	"encoding/binary"
	"fmt"

	"capnproto.org/go/capnp/v3"
)

// builder writes one Cap'n Proto message in one segment. The first error sticks
// and is returned by finish; until then every call is safe.
type builder struct {
	seg *capnp.Segment
	err error
}

// newBuilder reserves size bytes. With a good estimate the bodies of modules are
// copied exactly once.
func newBuilder(size int) *builder {
	_, seg, err := capnp.NewMessage(capnp.SingleSegment(make([]byte, 0, size)))
	return &builder{seg: seg, err: err}
}

func (b *builder) root(data capnp.Size, ptrs uint16) capnp.Struct {
	s, err := capnp.NewRootStruct(b.seg, capnp.ObjectSize{DataSize: data, PointerCount: ptrs})
	b.keep(err)
	return s
}

// child makes the struct at pointer i of parent.
func (b *builder) child(parent capnp.Struct, i uint16, data capnp.Size, ptrs uint16) capnp.Struct {
	s, err := capnp.NewStruct(b.seg, capnp.ObjectSize{DataSize: data, PointerCount: ptrs})
	b.keep(err)
	if b.err == nil {
		b.keep(parent.SetPtr(i, s.ToPtr()))
	}
	return s
}

// list makes the list of n structs at pointer i of parent.
func (b *builder) list(parent capnp.Struct, i uint16, n int, data capnp.Size, ptrs uint16) capnp.List {
	l, err := capnp.NewCompositeList(b.seg, capnp.ObjectSize{DataSize: data, PointerCount: ptrs}, int32(n)) //nolint:gosec // validate bounds every count
	b.keep(err)
	if b.err == nil {
		b.keep(parent.SetPtr(i, l.ToPtr()))
	}
	return l
}

func (b *builder) text(s capnp.Struct, i uint16, v string) {
	if b.err == nil {
		b.keep(s.SetNewText(i, v))
	}
}

func (b *builder) textBytes(s capnp.Struct, i uint16, v []byte) {
	if b.err == nil {
		b.keep(s.SetTextFromBytes(i, v))
	}
}

func (b *builder) data(s capnp.Struct, i uint16, v []byte) { //nolint:unparam // the index belongs to the struct, which the caller knows
	if b.err == nil {
		b.keep(s.SetData(i, v))
	}
}

func (b *builder) texts(s capnp.Struct, i uint16, v []string) {
	if b.err != nil {
		return
	}
	l, err := capnp.NewTextList(b.seg, int32(len(v))) //nolint:gosec // validate bounds every count
	b.keep(err)
	for j, t := range v {
		if b.err == nil {
			b.keep(l.Set(j, t))
		}
	}
	if b.err == nil {
		b.keep(s.SetPtr(i, l.ToPtr()))
	}
}

// tag sets a union's tag, which in every struct used here is the first field.
func (b *builder) tag(s capnp.Struct, v uint16) {
	if b.err == nil {
		s.SetUint16(0, v)
	}
}

func (b *builder) flag(s capnp.Struct, bit capnp.BitOffset) {
	if b.err == nil {
		s.SetBit(bit, true)
	}
}

func (b *builder) keep(err error) {
	if b.err == nil && err != nil {
		b.err = fmt.Errorf("workerd: encode config: %w", err)
	}
}

// finish returns the stream framing of a message of one segment (Cap'n Proto,
// "Serialization Over a Stream") and the segment itself, without another copy.
func (b *builder) finish() (header, segment []byte, err error) {
	if b.err != nil {
		return nil, nil, b.err
	}
	segment = b.seg.Data()
	header = make([]byte, wordBytes)
	binary.LittleEndian.PutUint32(header[4:], uint32(len(segment)/wordBytes)) //nolint:gosec // validate bounds the total size
	return header, segment, nil
}

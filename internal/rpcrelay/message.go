package rpcrelay

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	// The bound of a message, maxMessage, is in bytes: twice what workerd lets a value have
	// in JS RPC.
	maxMessage = 64 << 20
	// The number of segments, maxSegments, is what the C++ implementation reads.
	maxSegments = 512
	wordBytes   = 8
)

var (
	errBroken   = errors.New("rpcrelay: the message is damaged")
	errTooLarge = fmt.Errorf("rpcrelay: a message has more than %d bytes or %d segments", maxMessage, maxSegments)
)

var le = binary.LittleEndian //nolint:gochecknoglobals // a shorter name of a constant

// message is one message in stream framing (Cap'n Proto, "Serialization Over a
// Stream"), read and changed in place. It is valid as long as its bytes are.
type message struct {
	raw  []byte
	segs [][]byte
}

// parse takes the first message off b. It returns 0 when b does not hold all of
// it yet, and then how many bytes that is, as far as is known.
func (m *message) parse(b []byte) (size, need int, err error) {
	if len(b) < 4 {
		return 0, wordBytes, nil
	}
	n := uint64(le.Uint32(b)) + 1
	if n > maxSegments {
		return 0, 0, errTooLarge
	}
	head := (4 + 4*int(n) + 7) &^ 7
	if len(b) < head {
		return 0, head, nil
	}
	total := uint64(head) //nolint:gosec // small
	for i := range int(n) {
		total += uint64(le.Uint32(b[4+4*i:])) * wordBytes
	}
	if total > maxMessage {
		return 0, 0, errTooLarge
	}
	if uint64(len(b)) < total {
		return 0, int(total), nil
	}
	m.raw = b[:total]
	m.segs = m.segs[:0]
	at := head
	for i := range int(n) {
		end := at + int(le.Uint32(b[4+4*i:]))*wordBytes
		m.segs = append(m.segs, b[at:end])
		at = end
	}
	return at, at, nil
}

// A node is a struct in a message: its data section and where its pointers are.
// The zero node is an absent struct, whose fields have their defaults.
type node struct {
	m    *message
	data []byte
	seg  int
	ptr  int // word of the first pointer
	ptrs int
}

// object is what a pointer leads to.
type object struct {
	tag  uint64 // the pointer that says kind and size
	seg  int
	word int // of the content
}

// follow resolves the pointer at a word. A null pointer gives ok false.
func (m *message) follow(seg, word int) (o object, ok bool, err error) {
	p, err := m.word(seg, word)
	if err != nil || p == 0 {
		return object{}, false, err
	}
	if p&3 != 2 {
		return object{p, seg, word + 1 + offset(p)}, true, nil
	}
	// A far pointer: to a landing pad in another segment.
	padSeg, pad := int(p>>32), int(uint32(p)>>3) //nolint:gosec // parts of a word
	at, err := m.word(padSeg, pad)
	if err != nil {
		return object{}, false, err
	}
	if p&4 == 0 {
		if at&3 == 2 {
			return object{}, false, errBroken
		}
		return object{at, padSeg, pad + 1 + offset(at)}, at != 0, nil
	}
	tag, err := m.word(padSeg, pad+1)
	if err != nil || at&7 != 2 || tag&3 == 2 {
		return object{}, false, errors.Join(errBroken, err)
	}
	return object{tag, int(at >> 32), int(uint32(at) >> 3)}, true, nil //nolint:gosec // parts of a word
}

// offset is the signed distance, in words, of a struct or list pointer.
func offset(p uint64) int { return int(int32(uint32(p)) >> 2) } //nolint:gosec // two's complement is meant

func (m *message) word(seg, word int) (uint64, error) {
	if seg >= len(m.segs) || word < 0 || word >= len(m.segs[seg])/wordBytes {
		return 0, errBroken
	}
	return le.Uint64(m.segs[seg][word*wordBytes:]), nil
}

// at makes the node of a struct with n bytes of data and some pointers at a word.
func (m *message) at(seg, word, data, ptrs int) (node, error) {
	if seg >= len(m.segs) || word < 0 || word+data+ptrs > len(m.segs[seg])/wordBytes {
		return node{}, errBroken
	}
	return node{m, m.segs[seg][word*wordBytes : (word+data)*wordBytes], seg, word + data, ptrs}, nil
}

// sizes are the words of data and the pointers of a struct.
func sizes(tag uint64) (data, ptrs int) { return int(tag >> 32 & 0xffff), int(tag >> 48) }

// child is the struct at a pointer, the zero node for a null pointer.
func (m *message) child(seg, word int) (node, error) {
	o, ok, err := m.follow(seg, word)
	if err != nil || !ok {
		return node{}, err
	}
	if o.tag&3 != 0 {
		return node{}, errBroken
	}
	data, ptrs := sizes(o.tag)
	return m.at(o.seg, o.word, data, ptrs)
}

func (m *message) root() (node, error) { return m.child(0, 0) }

func (n node) child(i int) (node, error) {
	if i >= n.ptrs {
		return node{}, nil
	}
	return n.m.child(n.seg, n.ptr+i)
}

// caps calls f for each capability in the table of a payload.
func (n node) caps(f func(node) error) error {
	const i = payloadCaps
	if i >= n.ptrs {
		return nil
	}
	o, ok, err := n.m.follow(n.seg, n.ptr+i)
	if err != nil || !ok {
		return err
	}
	const composite = 7
	if o.tag&3 != 1 || o.tag>>32&7 != composite {
		return errBroken
	}
	tag, err := n.m.word(o.seg, o.word)
	if err != nil {
		return err
	}
	count := int(uint32(tag) >> 2) //nolint:gosec // 30 bits
	data, ptrs := sizes(tag)
	if tag&3 != 0 || data+ptrs == 0 && count > 0 {
		return errBroken
	}
	for j := range count {
		s, err := n.m.at(o.seg, o.word+1+j*(data+ptrs), data, ptrs)
		if err != nil {
			return err
		}
		if err := f(s); err != nil {
			return err
		}
	}
	return nil
}

func (n node) u8(at int) uint8 {
	if at >= len(n.data) {
		return 0
	}
	return n.data[at]
}

func (n node) u16(at int) uint16 {
	if at+2 > len(n.data) {
		return 0
	}
	return le.Uint16(n.data[at:])
}

func (n node) u32(at int) uint32 {
	if at+4 > len(n.data) {
		return 0
	}
	return le.Uint32(n.data[at:])
}

// set16 and set32 write a field that must be there.
func (n node) set16(at int, v uint16) error {
	if at+2 > len(n.data) {
		return errBroken
	}
	le.PutUint16(n.data[at:], v)
	return nil
}

func (n node) set32(at int, v uint32) error {
	if at+4 > len(n.data) {
		return errBroken
	}
	le.PutUint32(n.data[at:], v)
	return nil
}

// place returns where in the whole message a field of the node is.
func (n node) place(at int) int {
	if at+4 > len(n.data) {
		return -1
	}
	return cap(n.m.raw) - cap(n.data) + at // both are slices of one array
}

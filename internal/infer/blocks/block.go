package blocks

// block is one block of any quantised type, opened: weight i is
// q[i]·scale[i/group] - least[i/group].
type block struct {
	q     [256]uint8
	scale [16]float32
	least [16]float32
	group int
}

// read opens the block that src begins with.
func (b *block) read(t Type, src []byte) {
	b.group = t.group()
	switch t { //nolint:exhaustive // the others have no blocks
	case Q4:
		b.readQ4(src)
	case Q8:
		d := half(src)
		b.scale[0], b.least[0] = d, 128*d
		for i, v := range src[2:34] {
			b.q[i] = v ^ 0x80
		}
	case Q4K:
		b.readQ4K(src)
	case Q6K:
		b.readQ6K(src)
	default:
		panic("blocks: no block of type " + t.String())
	}
}

// group is how many weights share a scale.
func (t Type) group() int {
	if t == Q6K {
		return 16
	}
	return 32
}

// readQ4: a scale, and 16 bytes, of which the low halves are the first 16
// weights and the high halves the others, with 8 added.
func (b *block) readQ4(src []byte) {
	d := half(src)
	b.scale[0], b.least[0] = d, 8*d
	for i, v := range src[2:18] {
		b.q[i], b.q[16+i] = v&15, v>>4
	}
}

// readQ4K: a scale and a minimum for the block, 8 scales and 8 minima of 6 bits
// for its groups, and 4 times 32 bytes, of which the low halves are one group
// and the high halves the next.
func (b *block) readQ4K(src []byte) {
	d, least, s := half(src), half(src[2:]), src[4:16]
	for j := range 8 {
		var scale, m uint8
		if j < 4 {
			scale, m = s[j]&63, s[j+4]&63
		} else {
			scale, m = s[j+4]&15|s[j-4]>>6<<4, s[j+4]>>4|s[j]>>6<<4
		}
		b.scale[j], b.least[j] = d*float32(scale), least*float32(m)
	}
	for c := range 4 {
		for i, v := range src[16+32*c : 48+32*c] {
			b.q[64*c+i], b.q[64*c+32+i] = v&15, v>>4
		}
	}
}

// readQ6K: the low 4 bits of 256 weights, the high 2, 16 scales of 8 bits for
// groups of 16, and a scale for the block. Weights have 32 added.
func (b *block) readQ6K(src []byte) {
	d := half(src[208:])
	for j, v := range src[192:208] {
		b.scale[j] = d * float32(int8(v)) //nolint:gosec // the same bits
		b.least[j] = 32 * b.scale[j]
	}
	for h := range 2 {
		low, high, q := src[64*h:64*h+64], src[128+32*h:160+32*h], b.q[128*h:128*h+128]
		for i := range 32 {
			q[i] = low[i]&15 | high[i]&3<<4
			q[32+i] = low[32+i]&15 | high[i]>>2&3<<4
			q[64+i] = low[i]>>4 | high[i]>>4&3<<4
			q[96+i] = low[32+i]>>4 | high[i]>>6<<4
		}
	}
}

package blocks

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// Type is how numbers are stored; the values are those of GGUF files.
type Type uint32

// The types that can be read.
const (
	F32  Type = 0
	F16  Type = 1
	Q4   Type = 2
	Q8   Type = 8
	Q4K  Type = 12
	Q6K  Type = 14
	BF16 Type = 30
)

// layout is a block of a type.
type layout struct {
	name           string
	numbers, bytes int
}

func (t Type) layout() (layout, bool) {
	switch t {
	case F32:
		return layout{"F32", 1, 4}, true
	case F16:
		return layout{"F16", 1, 2}, true
	case BF16:
		return layout{"BF16", 1, 2}, true
	case Q4:
		return layout{"Q4_0", 32, 18}, true
	case Q8:
		return layout{"Q8_0", 32, 34}, true
	case Q4K:
		return layout{"Q4_K", 256, 144}, true
	case Q6K:
		return layout{"Q6_K", 256, 210}, true
	}
	return layout{}, false
}

// Names lists the types that can be read.
func Names() string {
	var names []string
	for _, t := range []Type{F32, F16, BF16, Q8, Q6K, Q4K, Q4} {
		names = append(names, t.String())
	}
	return strings.Join(names, ", ")
}

// Known reports whether the type can be read.
func (t Type) Known() bool { _, ok := t.layout(); return ok }

// Quantized reports whether the type stores blocks.
func (t Type) Quantized() bool { return t.Known() && t.Block() > 1 }

// Block is how many numbers are stored together; a row is whole blocks. It
// panics for an unknown type, as RowBytes does.
func (t Type) Block() int { return t.known().numbers }

// RowBytes is the size of a row of n numbers.
func (t Type) RowBytes(n int) int { l := t.known(); return n / l.numbers * l.bytes }

func (t Type) known() layout {
	l, ok := t.layout()
	if !ok {
		panic("blocks: " + t.String())
	}
	return l
}

// others are the types of GGUF files that cannot be read here.
var others = map[Type]string{ //nolint:gochecknoglobals // a table
	3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 13: "Q5_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS",
	18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64",
	28: "F64", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
}

func (t Type) String() string {
	if l, ok := t.layout(); ok {
		return l.name
	}
	if name, ok := others[t]; ok {
		return name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// Floats sets dst to the numbers that src stores. The length of src is
// [Type.RowBytes] of that of dst.
func (t Type) Floats(dst []float32, src []byte) {
	n := t.known()
	src = src[:t.RowBytes(len(dst))]
	le := binary.LittleEndian
	switch t {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(le.Uint32(src[4*i:]))
		}
		return
	case F16:
		for i := range dst {
			dst[i] = half(src[2*i:])
		}
		return
	case BF16:
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(le.Uint16(src[2*i:])) << 16)
		}
		return
	case Q4, Q8, Q4K, Q6K:
	}
	var b block
	for ; len(dst) > 0; dst, src = dst[n.numbers:], src[n.bytes:] {
		b.read(t, src)
		for i := range dst[:n.numbers] {
			g := i / b.group
			dst[i] = float32(b.q[i])*b.scale[g] - b.least[g]
		}
	}
}

// half reads IEEE 754 binary16.
func half(b []byte) float32 { return FromHalf(binary.LittleEndian.Uint16(b)) }

// FromHalf converts IEEE 754 binary16.
func FromHalf(h uint16) float32 {
	sign, exp, frac := uint32(h&0x8000)<<16, uint32(h>>10)&31, uint32(h&0x3ff)
	switch exp {
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	case 0:
		return math.Float32frombits(sign | math.Float32bits(float32(frac)*(1.0/(1<<24))))
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// ToHalf converts to IEEE 754 binary16, to the nearest, ties to even. What is
// too large becomes an infinity.
func ToHalf(f float32) uint16 {
	bits := math.Float32bits(f)
	sign, abs := uint16(bits>>16&0x8000), bits&0x7fffffff
	switch {
	case abs > 0x7f800000:
		return sign | 0x7e00
	case abs >= 0x477ff000: // 65520 and beyond
		return sign | 0x7c00
	case abs < 0x38800000: // less than 2^-14: multiples of 2^-24
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(abs))*(1<<24)))
	}
	abs += 0xfff + abs>>13&1
	return sign | uint16((abs-0x38000000)>>13)
}

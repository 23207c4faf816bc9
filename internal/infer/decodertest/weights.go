package decodertest

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strconv"

	"github.com/selvage-dev/selvage/internal/infer/blocks"
)

func number(before string, i int, after string) string { return before + strconv.Itoa(i) + after }

// random returns the source of a tensor's numbers.
func (s *Shape) random(name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return rand.New(rand.NewPCG(s.Seed, h.Sum64())) //nolint:gosec // repeatable is the point
}

// row appends n numbers of a tensor. Quantised ones are random bits under scales
// that give the spread: so a model of a gigabyte is made in seconds.
func (x *tensor) row(dst []byte, r *rand.Rand, n int) []byte {
	switch x.t {
	case blocks.F32, blocks.F16, blocks.BF16:
		for i := range n {
			v := x.mean + x.spread*r.NormFloat64()
			if x.out > 0 && i%97 == 5 {
				v *= 4 // some channels stand out, as in trained models
			}
			dst = x.float(dst, float32(v))
		}
		return dst
	case blocks.Q4:
		for range n / 32 {
			dst = half(dst, x.spread/4.6*(0.5+r.Float64()))
			dst = bits(dst, r, 16)
		}
	case blocks.Q8:
		for range n / 32 {
			dst = half(dst, x.spread/74*(0.5+r.Float64()))
			dst = bits(dst, r, 32)
		}
	case blocks.Q4K: // 6-bit scales and minima of 31.5, of which a minimum takes off half of a weight's range
		for range n / 256 {
			d := x.spread / 4.6 / 31.5 * (0.5 + r.Float64())
			dst = half(dst, d)
			dst = half(dst, d*7.5)
			dst = bits(dst, r, 12+128)
		}
	case blocks.Q6K:
		for range n / 256 {
			dst = bits(dst, r, 208)
			dst = half(dst, x.spread/18.5/74*(0.5+r.Float64()))
		}
	}
	return dst
}

func (x *tensor) float(dst []byte, v float32) []byte {
	switch x.t { //nolint:exhaustive // of the three
	case blocks.F16:
		return binary.LittleEndian.AppendUint16(dst, blocks.ToHalf(v))
	case blocks.BF16:
		return binary.LittleEndian.AppendUint16(dst, uint16(math.Float32bits(v)>>16))
	}
	return binary.LittleEndian.AppendUint32(dst, math.Float32bits(v))
}

func half(dst []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint16(dst, blocks.ToHalf(float32(v)))
}

func bits(dst []byte, r *rand.Rand, n int) []byte {
	for ; n >= 8; n -= 8 {
		dst = binary.LittleEndian.AppendUint64(dst, r.Uint64())
	}
	var last [8]byte
	binary.LittleEndian.PutUint64(last[:], r.Uint64())
	return append(dst, last[:n]...)
}

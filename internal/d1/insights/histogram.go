package insights

import (
	"encoding/binary"
	"math/bits"
	"time"
)

// Buckets is the number of buckets of a [Histogram]. Each is an eighth of a power of
// two microseconds wide, so that a percentile is at most an eighth off. The last begins at
// about two minutes, beyond what a statement may take.
const (
	perOctave = 8
	octaves   = 24
	Buckets   = octaves*perOctave + perOctave
)

// Histogram counts durations.
type Histogram [Buckets]uint32

// bucketOf is the bucket of a duration in microseconds.
func bucketOf(us uint64) int {
	if us < perOctave {
		return int(us)
	}
	exp := bits.Len64(us) - 4                         // perOctave <= us>>exp < 2*perOctave
	return min(exp*perOctave+int(us>>exp), Buckets-1) //nolint:gosec // below 16
}

// lowerBound is the smallest duration of a bucket in microseconds.
func lowerBound(bucket int) float64 {
	if bucket < 2*perOctave {
		return float64(bucket)
	}
	exp := bucket/perOctave - 1
	return float64(uint64(bucket-exp*perOctave) << exp) //nolint:gosec // both are small and positive
}

// Percentile returns the duration within which the share p, from 0 to 1, of the
// runs stayed; 0 when there were none.
func (h *Histogram) Percentile(p float64) time.Duration {
	var total uint64
	for _, n := range h {
		total += uint64(n)
	}
	if total == 0 {
		return 0
	}
	rank := p * float64(total)
	var seen float64
	for i, n := range h {
		if n == 0 {
			continue
		}
		if seen+float64(n) >= rank {
			low, high := lowerBound(i), lowerBound(i+1)
			us := low + (high-low)*(rank-seen)/float64(n)
			return time.Duration(us * float64(time.Microsecond))
		}
		seen += float64(n)
	}
	return time.Duration(lowerBound(Buckets-1)) * time.Microsecond
}

// AppendBinary appends the buckets that hold something: pairs of varints, the
// distance to the bucket before and its count.
func (h *Histogram) AppendBinary(dst []byte) []byte {
	last := -1
	for i, n := range h {
		if n == 0 {
			continue
		}
		dst = binary.AppendUvarint(dst, uint64(i-last)) //nolint:gosec // positive
		dst = binary.AppendUvarint(dst, uint64(n))
		last = i
	}
	return dst
}

// AddBinary adds what [Histogram.AppendBinary] wrote and reports whether it was
// well-formed; what comes before the damage is added.
func (h *Histogram) AddBinary(src []byte) bool {
	at := uint64(0)
	for first := true; len(src) > 0; first = false {
		step, n := binary.Uvarint(src)
		if n <= 0 || step == 0 || step > Buckets {
			return false
		}
		src = src[n:]
		count, n := binary.Uvarint(src)
		if n <= 0 {
			return false
		}
		src = src[n:]
		at += step
		if first {
			at = step - 1
		}
		if at >= Buckets {
			return false
		}
		h[at] = uint32(min(uint64(h[at])+min(count, 1<<32), 1<<32-1))
	}
	return true
}

package vecjson

import (
	"math"
	"strconv"
	"unsafe"
)

// number reads the JSON number that b begins with, rounded to 32 bits, and says how
// many bytes it has: 0 when there is none. It is ok unless it is too large.
//
// A call brings millions of numbers, so that most are made from their digits and
// exponent while these are read: a whole number of up to 19 digits times a power of
// ten is rounded twice on its way to 64 bits, which is far more exact than 32, and
// then once more. Where the outcome is so close to the middle between two numbers of 32
// bits that the first roundings could decide, strconv reads it again.
func number(b []byte) (x float32, n int, ok bool) {
	i := 0
	negative := i < len(b) && b[i] == '-'
	if negative {
		i++
	}
	var d digits
	start := i
	i = d.read(b, i, 0)
	if i == start || b[start] == '0' && i > start+1 {
		return 0, 0, false
	}
	if i < len(b) && b[i] == '.' {
		i++
		from := i
		if i = d.read(b, i, -1); i == from {
			return 0, 0, false
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		end, exponent, ok := readExponent(b, i+1)
		if !ok {
			return 0, 0, false
		}
		i = end
		d.exponent += exponent
	}
	if x, ok := d.float32(); ok {
		if negative {
			x = -x
		}
		return x, i, true
	}
	// The string does not outlive the call, and nobody writes to b meanwhile.
	y, err := strconv.ParseFloat(unsafe.String(&b[0], i), 32) //nolint:gosec // as the line above says
	return float32(y), i, err == nil && !math.IsInf(y, 0)
}

// digits is a number: value · 10^exponent.
type digits struct {
	value    uint64
	count    int // of digits in value, without leading zeros
	exponent int
}

// read reads digits from i on and returns where they end. Each makes the exponent
// larger by step.
func (d *digits) read(b []byte, i, step int) int {
	value, count, exponent := d.value, d.count, d.exponent
	for ; i < len(b); i++ {
		c := b[i] - '0'
		if c > 9 {
			break
		}
		const most = 19 // so many fit 64 bits
		if count < most {
			value = value*10 + uint64(c)
			exponent += step
			if value > 0 {
				count++
			}
		} else {
			// It is left out: less than a part in 10^18.
			exponent += 1 + step
		}
	}
	d.value, d.count, d.exponent = value, count, exponent
	return i
}

// readExponent reads what follows the e.
func readExponent(b []byte, i int) (end, exponent int, ok bool) {
	negative := false
	if i < len(b) && (b[i] == '+' || b[i] == '-') {
		negative = b[i] == '-'
		i++
	}
	from := i
	for ; i < len(b) && b[i]-'0' <= 9; i++ {
		const far = 10_000 // beyond what matters
		exponent = min(exponent*10+int(b[i]-'0'), far)
	}
	if negative {
		exponent = -exponent
	}
	return i, exponent, i > from
}

// powers are those of ten that 64 bits hold exactly.
var powers = [...]float64{ //nolint:gochecknoglobals // a constant
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// float32 rounds the number, or says that it cannot be sure to do so rightly.
func (d *digits) float32() (float32, bool) {
	if d.value == 0 {
		return 0, true
	}
	x := float64(d.value)
	switch {
	case d.exponent >= 0 && d.exponent < len(powers):
		x *= powers[d.exponent]
	case d.exponent < 0 && -d.exponent < len(powers):
		x /= powers[-d.exponent]
	default:
		return 0, false
	}
	const (
		least, largest = 0x1p-126, 0x1p127 // of the numbers that have all 24 bits, about
		below          = 29                // bits of 64 that 32 have not
		middle, near   = 1 << (below - 1), 8
	)
	rest := math.Float64bits(x) & (1<<below - 1)
	if x < least || x > largest || rest-(middle-near) <= 2*near {
		return 0, false
	}
	return float32(x), true
}

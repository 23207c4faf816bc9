package grammar

import (
	"math/big"
	"strings"
)

// Bounds of numbers, so that none is beyond what readers keep.
const (
	maxDigits   = 15 // before the point
	maxFraction = 15
	maxExponent = 2 // digits
	// How many digits after the point a number with bounds has.
	places = 9
)

// numberSpec says which numbers are taken.
type numberSpec struct {
	integer bool
	// low and high bound the number, in units of its last place; nil: there is no bound.
	low, high *big.Int
	// free is the node for what follows when no bound can be broken any more: without it
	// each number would be a state of its own.
	free *node
	// plain says that there is no exponent.
	plain bool
}

func (s *numberSpec) bounded() bool { return s.low != nil || s.high != nil }

// scale is how many places after the point a number with bounds has.
func (s *numberSpec) scale() int {
	if s.integer {
		return 0
	}
	return places
}

// Phases of a number.
const (
	numStart = iota
	numMinus
	numZero
	numDigits
	numPoint
	numFraction
	numE
	numESign
	numExponent
)

// next is the phase after a byte; count is how many digits the phase has had. It is not ok
// when the byte is not part of the number.
func (s *numberSpec) next(phase, count int, b byte) (next, digits int, ok bool) {
	digit := b >= '0' && b <= '9'
	switch phase {
	case numStart, numMinus:
		switch {
		case b == '-' && phase == numStart:
			return numMinus, 0, true
		case b == '0':
			return numZero, 0, true
		case digit:
			return numDigits, 1, true
		}
		return 0, 0, false
	case numDigits:
		if digit && count < maxDigits {
			return numDigits, count + 1, true
		}
	case numPoint:
		return numFraction, 1, digit
	case numFraction:
		if digit && count < s.fraction() {
			return numFraction, count + 1, true
		}
	case numE:
		if b == '+' || b == '-' {
			return numESign, 0, true
		}
		return numExponent, 1, digit
	case numESign:
		return numExponent, 1, digit
	case numExponent:
		return numExponent, count + 1, digit && count < maxExponent
	}
	switch {
	case s.integer || phase == numE:
	case b == '.' && (phase == numZero || phase == numDigits):
		return numPoint, 0, true
	case (b == 'e' || b == 'E') && !s.bounded() && !s.plain && phase != numPoint:
		return numE, 0, true
	}
	return 0, 0, false
}

// open says whether every number that begins with text is within the bounds.
func (s *numberSpec) open(text string) bool {
	digits, negative := strings.CutPrefix(text, "-")
	low, high := s.low, s.high
	if negative {
		low, high = negated(s.high), negated(s.low)
	}
	if digits == "" || high != nil {
		return false
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	from, ok := new(big.Int).SetString(whole+fraction, 10)
	return ok && from.Mul(from, power(s.scale()-len(fraction))).Cmp(low) >= 0
}

func (s *numberSpec) fraction() int {
	if s.bounded() {
		return places
	}
	return maxFraction
}

// left is how many bytes a number without bounds needs in a phase.
func left(phase int) int {
	switch phase {
	case numStart, numMinus, numPoint, numE, numESign:
		return 1
	}
	return 0
}

// leastMore is how many bytes must come at least after a text for the number to be within
// its bounds; infinite: whatever comes, it is not.
func (s *numberSpec) leastMore(text string) int {
	digits, negative := strings.CutPrefix(text, "-")
	if digits == "" {
		best := infinite
		if !negative {
			best = 1 + s.leastMore("-")
		}
		for d := byte('0'); d <= '9'; d++ {
			best = min(best, 1+s.leastMore(text+string(d)))
		}
		return min(best, infinite)
	}
	low, high := s.low, s.high
	if negative {
		low, high = negated(s.high), negated(s.low)
	}
	whole, fraction, point := strings.Cut(digits, ".")
	if point {
		return s.leastFraction(whole+fraction, len(fraction), low, high)
	}
	for k := 0; len(whole)+k <= maxDigits; k++ {
		if k > 0 && whole[0] == '0' {
			break
		}
		if s.within(whole, k, 0, low, high) {
			return k
		}
	}
	best := infinite
	for k := 0; len(whole)+k <= maxDigits && s.scale() > 0; k++ {
		if k > 0 && whole[0] == '0' {
			break
		}
		for f := 1; f <= places && k+f+1 < best; f++ {
			if s.within(whole, k+f, f, low, high) {
				best = k + f + 1
			}
		}
	}
	return best
}

// leastFraction is leastMore after the point: digits has had places of the fraction.
func (s *numberSpec) leastFraction(digits string, had int, low, high *big.Int) int {
	for k := 0; had+k <= places; k++ {
		if had+k > 0 && s.within(digits, k, had+k, low, high) {
			return k
		}
	}
	return infinite
}

// within says whether digits, with k more of them after, can be a number between low and
// high, when the last f of them are the fraction.
func (s *numberSpec) within(digits string, k, f int, low, high *big.Int) bool {
	from, ok := new(big.Int).SetString(digits, 10)
	if !ok {
		return false
	}
	grow := power(k)
	from.Mul(from, grow)
	to := new(big.Int).Add(from, grow)
	to.Sub(to, big.NewInt(1))
	// In units of the last place that is written.
	unit := power(s.scale() - f)
	if low != nil {
		if at := ceilDiv(low, unit); at.Cmp(from) > 0 {
			from = at
		}
	}
	if high != nil {
		if at := floorDiv(high, unit); at.Cmp(to) < 0 {
			to = at
		}
	}
	return from.Cmp(to) <= 0
}

func power(k int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(k)), nil) }

func negated(x *big.Int) *big.Int {
	if x == nil {
		return nil
	}
	return new(big.Int).Neg(x)
}

// floorDiv and ceilDiv divide by what is greater than zero.
func floorDiv(x, by *big.Int) *big.Int {
	return new(big.Int).Div(x, by) // Euclidean: rounds down for a positive divisor
}

func ceilDiv(x, by *big.Int) *big.Int {
	return negated(floorDiv(negated(x), by))
}

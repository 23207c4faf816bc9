package decoder

import (
	"errors"
	"fmt"
	"math"

	"github.com/selvage-dev/selvage/internal/infer/blocks"
)

var (
	errInvalid     = errors.New("invalid model")
	errUnsupported = errors.New("unsupported model")
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errInvalid, fmt.Errorf(format, args...))
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errUnsupported, fmt.Errorf(format, args...))
}

// config is what a model's file says of its shape.
type config struct {
	architecture string
	layers       int
	hidden       int
	heads        int
	kvHeads      int
	head         int // channels of a head
	intermediate int
	vocabulary   int
	context      int
	window       int // tokens that a token sees; 0: all before it
	epsilon      float32
	// interleaved says which channels of a head turn together: neighbours, or, if
	// not, one of the first half with one of the second.
	interleaved bool
	ropeBase    float64
	ropeScale   ropeScale
}

// ropeScale is how the frequencies of positions are stretched for contexts
// longer than those of the training.
type ropeScale struct {
	// linear divides all; 0 or 1 for none.
	linear float64
	// llama3 are the parameters of Llama 3.1: wavelengths above original/low are
	// stretched by factor, those below original/high are not, between is a ramp.
	factor, low, high, original float64
	// factors divide each, as GGUF files have them; nil for none.
	factors []float32
}

// check bounds each number, so that nothing computed from them overflows.
func (c *config) check() error {
	for _, x := range []struct {
		name              string
		value, least, top int
	}{
		{"layers", c.layers, 1, 512},
		{"hidden size", c.hidden, 64, 32768},
		{"attention heads", c.heads, 1, 512},
		{"key-value heads", c.kvHeads, 1, 512},
		{"size of a head", c.head, 32, 512},
		{"intermediate size", c.intermediate, 64, 262144},
		{"vocabulary", c.vocabulary, 1, 4 << 20},
		{"context", c.context, 1, 1 << 24},
		{"sliding window", c.window, 0, 1 << 24},
	} {
		if x.value < x.least || x.value > x.top {
			return invalid("its %s: %d, not %d to %d", x.name, x.value, x.least, x.top)
		}
	}
	if !(c.epsilon >= 0 && c.epsilon < 1) || !(c.ropeBase >= 1 && c.ropeBase <= 1e12) {
		return invalid("its epsilon is %g, its base of positions %g", c.epsilon, c.ropeBase)
	}
	if c.heads%c.kvHeads != 0 {
		return invalid("%d key-value heads do not divide %d heads", c.kvHeads, c.heads)
	}
	if c.hidden%blocks.RowMultiple != 0 || c.intermediate%blocks.RowMultiple != 0 || c.head%blocks.Cols != 0 || c.heads*c.head%blocks.RowMultiple != 0 {
		return unsupported("the hidden size %d and the intermediate size %d are to be multiples of %d, the size of a head, %d, of %d",
			c.hidden, c.intermediate, blocks.RowMultiple, c.head, blocks.Cols)
	}
	return nil
}

// frequencies returns the angle by which each pair of a head's channels turns
// from one position to the next.
func (c *config) frequencies() ([]float64, error) {
	half := c.head / 2
	f := make([]float64, half)
	s := &c.ropeScale
	if s.factors != nil && len(s.factors) != half {
		return nil, invalid("%d factors of positions for %d pairs of channels", len(s.factors), half)
	}
	for i := range f {
		f[i] = math.Pow(c.ropeBase, -2*float64(i)/float64(c.head))
		if s.linear > 1 {
			f[i] /= s.linear
		}
		if s.factors != nil {
			f[i] /= float64(s.factors[i])
		}
		if s.factor > 0 {
			f[i] = s.llama3(f[i])
		}
		if math.IsNaN(f[i]) || math.IsInf(f[i], 0) {
			return nil, invalid("the frequencies of positions are no numbers")
		}
	}
	return f, nil
}

func (s *ropeScale) llama3(f float64) float64 {
	turns := s.original * f / (2 * math.Pi) // within the original context
	switch {
	case turns < s.low:
		return f / s.factor
	case turns > s.high:
		return f
	}
	smooth := (turns - s.low) / (s.high - s.low)
	return (1-smooth)*f/s.factor + smooth*f
}

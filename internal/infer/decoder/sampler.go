package decoder

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// sampler chooses the tokens of one text.
type sampler struct {
	o      Sampler
	random *rand.Rand
	// prompt has the tokens that repetition is held against; written counts those
	// of the text.
	prompt  map[int32]bool
	written map[int32]int
	allowed TokenSet
}

func newSampler(o Sampler, prompt []int32, vocabulary int, masked bool) *sampler { //nolint:revive // whether it needs a set
	s := &sampler{o: o, random: rand.New(rand.NewPCG(o.Seed, 0x5e1fa9e))} //nolint:gosec // repeatable is the point
	if o.Repetition != 0 && o.Repetition != 1 {
		s.prompt = make(map[int32]bool)
		for _, t := range prompt {
			s.prompt[t] = true
		}
	}
	if s.prompt != nil || o.Frequency != 0 || o.Presence != 0 {
		s.written = make(map[int32]int)
	}
	if masked {
		s.allowed = make(TokenSet, (vocabulary+63)/64)
	}
	return s
}

// candidate is a token that may be chosen.
type candidate struct {
	id    int32
	logit float32
	share float64
}

type candidates []candidate

// unlikely is the distance from the most likely token, in units of the
// temperature, beyond which a token is left out: together, all such tokens of
// any vocabulary have less than a part in 10^10.
const unlikely = 40

// next chooses a token. Logits are changed. It returns -1 if the mask allows
// none.
func (s *sampler) next(logits []float32, mask Mask, scratch *candidates) int32 {
	s.penalize(logits)
	if mask != nil {
		clear(s.allowed)
		mask.Allowed(s.allowed)
		for i := range logits {
			if !s.allowed.Has(int32(i)) {
				logits[i] = float32(math.Inf(-1))
			}
		}
	}
	id := s.choose(logits, scratch)
	if id >= 0 && s.written != nil {
		s.written[id]++
	}
	return id
}

func (s *sampler) penalize(logits []float32) {
	r := float32(s.o.Repetition)
	repeat := func(id int32) {
		if l := logits[id]; l > 0 {
			logits[id] = l / r
		} else {
			logits[id] = l * r
		}
	}
	for id := range s.prompt {
		repeat(id)
	}
	for id, n := range s.written {
		if s.prompt != nil && !s.prompt[id] {
			repeat(id)
		}
		logits[id] -= float32(s.o.Frequency*float64(n) + s.o.Presence)
	}
}

func (s *sampler) choose(logits []float32, scratch *candidates) int32 {
	best, top := int32(-1), float32(math.Inf(-1))
	for i, l := range logits {
		if l > top {
			best, top = int32(i), l
		}
	}
	t := s.o.Temperature
	if t <= 0 || best < 0 || s.o.TopK == 1 || math.IsInf(float64(top), 1) {
		return best
	}
	least := float32(float64(top) - unlikely*t)
	c := (*scratch)[:0]
	for i, l := range logits {
		if l >= least && l > float32(math.Inf(-1)) {
			c = append(c, candidate{id: int32(i), logit: l})
		}
	}
	*scratch = c
	if k := s.o.TopK; k > 0 && k < len(c) {
		c.sort(k)
		c = c[:k]
	}
	var sum float64
	for i := range c {
		c[i].share = math.Exp((float64(c[i].logit) - float64(top)) / t)
		sum += c[i].share
	}
	if p := s.o.TopP; p > 0 && p < 1 {
		c, sum = c.nucleus(p*sum, s.o.TopK > 0)
	}
	at := s.random.Float64() * sum
	for i := range c {
		if at -= c[i].share; at < 0 {
			return c[i].id
		}
	}
	return c[len(c)-1].id
}

// order is by falling logit, and then by number.
func order(a, b candidate) int {
	return cmp.Or(cmp.Compare(b.logit, a.logit), cmp.Compare(a.id, b.id))
}

// sort brings the first k in order to the front.
func (c candidates) sort(k int) {
	for len(c) > 2*k && len(c) > 64 {
		// Those above a value that splits the rest are looked for among the first.
		pivot := median(c[0], c[len(c)/2], c[len(c)-1])
		n := 0
		for i := range c {
			if order(c[i], pivot) <= 0 {
				c[n], c[i] = c[i], c[n]
				n++
			}
		}
		if n < k || n == len(c) {
			break
		}
		c = c[:n]
	}
	slices.SortFunc(c, order)
}

func median(a, b, c candidate) candidate {
	x := []candidate{a, b, c}
	slices.SortFunc(x, order)
	return x[1]
}

// nucleus returns the most likely candidates whose shares reach p, and the sum
// of these.
func (c candidates) nucleus(p float64, sorted bool) (candidates, float64) { //nolint:revive // what is known
	for n := 64; ; n *= 8 {
		if !sorted {
			c.sort(min(n, len(c)))
		}
		var sum float64
		for i := range c {
			if !sorted && i >= n {
				break
			}
			if sum += c[i].share; sum >= p {
				return c[:i+1], sum
			}
		}
		if sorted || n >= len(c) {
			return c, sum
		}
	}
}

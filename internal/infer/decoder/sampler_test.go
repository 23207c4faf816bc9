package decoder

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// chances are what a sampler should choose with, from its definition.
func chances(logits []float32, o Sampler) []float64 {
	type c struct {
		id int
		p  float64
	}
	cs := make([]c, len(logits))
	for i, l := range logits {
		cs[i] = c{i, math.Exp(float64(l) / o.Temperature)}
	}
	slices.SortStableFunc(cs, func(a, b c) int {
		switch {
		case a.p > b.p:
			return -1
		case a.p < b.p:
			return 1
		}
		return 0
	})
	if o.TopK > 0 {
		cs = cs[:min(o.TopK, len(cs))]
	}
	sum := 0.0
	for _, x := range cs {
		sum += x.p
	}
	if o.TopP > 0 {
		reached := 0.0
		for i, x := range cs {
			if reached += x.p; reached >= o.TopP*sum {
				cs = cs[:i+1]
				sum = reached
				break
			}
		}
	}
	out := make([]float64, len(logits))
	for _, x := range cs {
		out[x.id] = x.p / sum
	}
	return out
}

// The tokens come as often as they should, by a χ² test whose seed is fixed.
func TestChances(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{12, 150} {
		logits := make([]float32, n)
		for i := range logits {
			logits[i] = float32(r.NormFloat64() * 2)
		}
		for _, o := range []Sampler{
			{Temperature: 1},
			{Temperature: 0.5, TopP: 0.9},
			{Temperature: 1.5, TopK: 5},
			{Temperature: 2, TopK: 9, TopP: 0.8},
			{Temperature: 3, TopP: 0.99},
			{Temperature: 1, TopK: 100000},
		} {
			want := chances(logits, o)
			s := newSampler(o, nil, n, false)
			const draws = 8000
			counts := make([]int, n)
			var scratch candidates
			for range draws {
				counts[s.next(slices.Clone(logits), nil, &scratch)]++
			}
			var chi, rest, restWant float64
			bins := 0
			for i, p := range want {
				if p == 0 && counts[i] > 0 {
					t.Fatalf("%+v: token %d came, and should not", o, i)
				}
				if p*draws < 10 { // too few for the test: counted together
					rest += float64(counts[i])
					restWant += p * draws
					continue
				}
				d := float64(counts[i]) - p*draws
				chi += d * d / (p * draws)
				bins++
			}
			if restWant > 10 {
				chi += (rest - restWant) * (rest - restWant) / restWant
				bins++
			}
			// Five standard deviations above the mean.
			if limit := float64(bins) + 5*math.Sqrt(2*float64(bins)); chi > limit {
				t.Errorf("%+v of %d tokens: χ² is %.1f, more than %.1f", o, n, chi, limit)
			}
		}
	}
}

func TestPenalties(t *testing.T) {
	logits := []float32{2, -2, 1, 0.5}
	s := newSampler(Sampler{Repetition: 2, Frequency: 0.25, Presence: 0.5}, []int32{0, 1}, 4, false)
	var scratch candidates
	l := slices.Clone(logits)
	if id := s.next(l, nil, &scratch); id != 0 || l[0] != 1 || l[1] != -4 {
		t.Errorf("token %d of %v", id, l)
	}
	// Token 0 was in the prompt, and has been written once.
	l = slices.Clone(logits)
	if id := s.next(l, nil, &scratch); id != 2 || l[0] != 1-0.75 {
		t.Errorf("token %d of %v", id, l)
	}
	l = slices.Clone(logits)
	if id := s.next(l, nil, &scratch); id != 3 || l[2] != 0.5-0.75 {
		t.Errorf("token %d of %v", id, l)
	}
}

func TestNoNumbers(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	var scratch candidates
	for _, l := range [][]float32{{nan, nan}, {-inf, -inf}} {
		if id := newSampler(Sampler{Temperature: 1}, nil, 2, false).next(l, nil, &scratch); id != -1 {
			t.Errorf("of %v: %d", l, id)
		}
	}
	if id := newSampler(Sampler{Temperature: 1}, nil, 2, false).next([]float32{0, inf}, nil, &scratch); id != 1 {
		t.Errorf("of an infinity: %d", id)
	}
}

package build

import (
	"context"

	"github.com/selvage-dev/selvage/internal/infer"
	"github.com/selvage-dev/selvage/internal/infer/lexical"
)

// Options of [Table].
type Options struct {
	Dimensions int
	// Least is in how many entries a word is that gets a vector.
	Least int
	// NoGloss says whose explanation is left out, by its place; nil: nobody's. What was
	// left out may then be asked for.
	NoGloss func(i int) bool
}

// common is a of a / (a + p), the weight of a word; p is the share of entries with it.
const common = 1e-3

// Table makes a table of the entries.
func Table(ctx context.Context, all []*Synset, o Options) ([]byte, error) {
	if o.NoGloss == nil {
		o.NoGloss = func(int) bool { return false }
	}
	bags := bagsOf(all, o.NoGloss)
	words, in := vocabulary(bags, o.Least)
	rows := vectors(mutual(bags, words), o.Dimensions)
	entries := make([]lexical.Entry, len(words))
	for i, w := range words {
		p := float64(in[w]) / float64(len(all))
		entries[i] = lexical.Entry{Word: w, Weight: float32(common / (common + p)), Vector: rows[i]}
	}
	zero := make([]float32, o.Dimensions)
	mean, err := meanOf(ctx, all, lexical.Append(nil, zero, entries), o)
	if err != nil {
		return nil, err
	}
	return lexical.Append(nil, mean, entries), nil
}

// meanOf is the mean of the vectors that a table gives the explanations.
func meanOf(ctx context.Context, all []*Synset, table []byte, o Options) ([]float32, error) {
	t, err := lexical.Parse(string(table))
	if err != nil {
		return nil, err
	}
	m, sum := lexical.NewModel(t), make([]float64, o.Dimensions)
	for _, s := range all {
		v, _, err := m.Embed(ctx, []string{s.Gloss}, infer.Mean)
		if err != nil {
			return nil, err
		}
		for k, x := range v[0] {
			sum[k] += float64(x)
		}
	}
	mean := make([]float32, o.Dimensions)
	for k := range mean {
		mean[k] = float32(sum[k] / float64(len(all)))
	}
	return mean, nil
}

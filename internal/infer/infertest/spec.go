package infertest

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
)

// Spec is the shape of a model. The same spec has the same weights.
type Spec struct {
	Family       string // "bert", "roberta" or "distilbert"
	Layers       int
	Hidden       int
	Heads        int
	Intermediate int
	Vocabulary   int
	Positions    int
	Types        int
	Labels       []string // a classifier with these, or an embedding model
	Outliers     int      // channels with activations 10 to 30 times as large
	// Loud outliers count for all channels that read them, by their full size; otherwise
	// for some, as in trained models, which have learned to live with them.
	Loud   bool
	DType  string // "F32", "F16" or "BF16"; F32 if empty
	Shards int    // files; 1 if 0
	Seed   uint64
}

// Tiny is quick to make and to run.
func Tiny() Spec {
	return Spec{Family: "bert", Layers: 2, Hidden: 64, Heads: 2, Intermediate: 128, Vocabulary: 600, Positions: 128, Types: 2}
}

// Small has the shape of bge-small: 33 million weights.
func Small() Spec {
	return Spec{Family: "bert", Layers: 12, Hidden: 384, Heads: 12, Intermediate: 1536, Vocabulary: 30522, Positions: 512, Types: 2}
}

// Base has the shape of BERT-base: 110 million weights.
func Base() Spec {
	return Spec{Family: "bert", Layers: 12, Hidden: 768, Heads: 12, Intermediate: 3072, Vocabulary: 30522, Positions: 512, Types: 2}
}

// weight is for how many other channels one that stands out counts.
const weight = 3

// Tensor is one array of a model.
type Tensor struct {
	Name  string
	Shape []int
	spec  *Spec
	scale float32
	base  float32
	// rows are multiplied, each by its factor: how outliers are planted.
	rows map[int]float32
	// columns are what reads outliers, and are divided by a part of the factor:
	// in a trained model such a channel counts for some others, not for all.
	columns map[int]float32
}

// Data returns the numbers.
func (t *Tensor) Data() []float32 {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(t.Name))
	r := rand.New(rand.NewPCG(h.Sum64(), t.spec.Seed)) //nolint:gosec // always the same is the point
	out := make([]float32, n)
	fill(out, r, t.scale, t.base)
	width := n / t.Shape[0]
	for row, f := range t.rows {
		for i := range width {
			out[row*width+i] *= f
		}
	}
	for column, f := range t.columns {
		if t.spec.Loud {
			break
		}
		for i := column; i < n; i += width {
			out[i] *= weight / f
		}
	}
	return out
}

// fill is apart from Data for the detector of races, as [dot] is.
//
//go:norace
func fill(out []float32, r *rand.Rand, scale, base float32) {
	for i := range out {
		out[i] = (2*r.Float32()-1)*scale + base
	}
}

// outliers picks channels of n and their factors, by name.
func (s *Spec) outliers(name string, n int) map[int]float32 {
	if s.Outliers == 0 {
		return nil
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	r := rand.New(rand.NewPCG(h.Sum64(), 7)) //nolint:gosec // always the same is the point
	m := make(map[int]float32)
	for len(m) < s.Outliers {
		m[r.IntN(n)] = 10 + 20*r.Float32()
	}
	return m
}

// OutlierChannels returns the channels of the hidden states that stand out.
func (s *Spec) OutlierChannels() []int {
	return slices.Sorted(maps.Keys(s.outliers("channels", s.Hidden)))
}

// names of a family, in the order: query, key, value, output, the norm after
// attention, up, down, the last norm.
func (s *Spec) names() (prefix, layer string, parts [8]string) {
	if s.Family == "distilbert" {
		return "distilbert.", "transformer.layer.%d.", [8]string{
			"attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin", "sa_layer_norm",
			"ffn.lin1", "ffn.lin2", "output_layer_norm",
		}
	}
	return s.Family + ".", "encoder.layer.%d.", [8]string{
		"attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense", "attention.output.LayerNorm",
		"intermediate.dense", "output.dense", "output.LayerNorm",
	}
}

// Tensors returns all of the model's.
func (s *Spec) Tensors() []Tensor {
	prefix, layer, parts := s.names()
	if len(s.Labels) == 0 {
		prefix = ""
	}
	var ts []Tensor
	add := func(name string, scale, base float32, shape ...int) *Tensor {
		ts = append(ts, Tensor{Name: name, Shape: shape, spec: s, scale: scale, base: base})
		return &ts[len(ts)-1]
	}
	norm := func(name string, planted map[int]float32) {
		add(name+".weight", 0.3, 1, s.Hidden).rows = planted
		add(name+".bias", 0.1, 0, s.Hidden)
	}
	linear := func(name string, in, out int, rows, columns map[int]float32) {
		add(name+".bias", 0.05, 0, out).rows = rows
		t := add(name+".weight", float32(1.5/math.Sqrt(float64(in))), 0, out, in)
		t.rows, t.columns = rows, columns
	}
	add(prefix+"embeddings.word_embeddings.weight", 0.05, 0, s.Vocabulary, s.Hidden)
	add(prefix+"embeddings.position_embeddings.weight", 0.05, 0, s.Positions, s.Hidden)
	if s.Family != "distilbert" {
		add(prefix+"embeddings.token_type_embeddings.weight", 0.05, 0, s.Types, s.Hidden)
	}
	// The same channels stand out in all layers, as they do in trained models.
	planted := s.outliers("channels", s.Hidden)
	norm(prefix+"embeddings.LayerNorm", planted)
	for i := range s.Layers {
		p := prefix + fmt.Sprintf(layer, i)
		value, up := s.outliers(p+"value", s.Hidden), s.outliers(p+"up", s.Intermediate)
		linear(p+parts[0], s.Hidden, s.Hidden, nil, planted)
		linear(p+parts[1], s.Hidden, s.Hidden, nil, planted)
		linear(p+parts[2], s.Hidden, s.Hidden, value, planted)
		linear(p+parts[3], s.Hidden, s.Hidden, nil, value)
		norm(p+parts[4], planted)
		linear(p+parts[5], s.Hidden, s.Intermediate, up, planted)
		linear(p+parts[6], s.Intermediate, s.Hidden, nil, up)
		norm(p+parts[7], planted)
	}
	if n := len(s.Labels); n > 0 {
		dense, out := s.heads()
		linear(dense, s.Hidden, s.Hidden, nil, planted)
		linear(out, s.Hidden, n, nil, nil)
	}
	return ts
}

// heads returns the names of the two matrices of the classifier.
func (s *Spec) heads() (dense, out string) {
	switch s.Family {
	case "roberta":
		return "classifier.dense", "classifier.out_proj"
	case "distilbert":
		return "pre_classifier", "classifier"
	}
	return "bert.pooler.dense", "classifier"
}

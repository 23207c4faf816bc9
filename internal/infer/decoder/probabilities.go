package decoder

import (
	"context"
	"math"
)

// Probabilities returns what the model thinks of each token as the one that
// comes after the prompt.
func (m *Model) Probabilities(ctx context.Context, prompt []int32) ([]float64, error) {
	var out []float64
	r := &Request{Prompt: prompt, MaxTokens: 1, watch: func(logits []float32) {
		top := logits[0]
		for _, l := range logits {
			top = max(top, l)
		}
		sum := 0.0
		out = make([]float64, len(logits))
		for i, l := range logits {
			out[i] = math.Exp(float64(l - top))
			sum += out[i]
		}
		for i := range out {
			out[i] /= sum
		}
	}}
	_, err := m.Generate(ctx, r, func(Piece) error { return nil })
	return out, err
}

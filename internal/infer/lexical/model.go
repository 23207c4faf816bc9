package lexical

import (
	"context"
	"errors"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/selvage-dev/selvage/internal/infer"
)

// ErrPooling is a pooling that sums of words do not have.
var ErrPooling = errors.New("pooling 'cls' is the vector of a model's first token, which this model does not have: leave pooling out")

// MaxWords is how many words of a text are read.
const MaxWords = 8192

// unknown is the weight of a word that the table does not have. The rarest that it has
// weigh nearly 1: what is more often a typing error than a name shall not outweigh them.
const unknown = 0.5

// Model is a table in use. It satisfies what the platform asks of an encoder.
type Model struct{ t *Table }

// NewModel returns the model of a table.
func NewModel(t *Table) *Model { return &Model{t} }

// Info describes the model.
func (m *Model) Info() infer.Info {
	t := m.t
	return infer.Info{
		Architecture: "lexical", Precision: "int8", Dimensions: t.dims, MaxTokens: MaxWords,
		WeightBytes: int64(len(t.words) + len(t.scales) + len(t.rows) + 4*len(t.starts)),
	}
}

// Embed returns a vector of the length 1 for each text, and how many words were read.
func (m *Model) Embed(ctx context.Context, texts []string, p infer.Pooling) (vectors [][]float32, tokens int, err error) {
	if p != infer.Mean {
		return nil, 0, ErrPooling
	}
	vectors = make([][]float32, len(texts))
	for i, text := range texts {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		words := Words(text, m.t.Has, MaxWords)
		if len(words) == 0 {
			// "to be or not to be", or "!?": all of it is one word.
			words = []string{strings.ToLower(strings.TrimSpace(text[:min(len(text), longest)]))}
		}
		vectors[i] = m.vector(words)
		tokens += len(words)
	}
	return vectors, tokens, nil
}

func (m *Model) vector(words []string) []float32 {
	v := make([]float32, m.t.dims)
	for _, w := range words {
		if i := m.t.find(w); i >= 0 {
			m.t.add(v, i)
		} else {
			addUnknown(v, w)
		}
	}
	infer.Normalize(v)
	for k := range v {
		v[k] -= m.t.mean[k]
	}
	infer.Normalize(v)
	return v
}

// addUnknown adds a vector of random directions that the word alone decides.
func addUnknown(v []float32, word string) {
	h := fnv.New64a()
	_, _ = h.Write([]byte(word))             // never fails
	r := rand.New(rand.NewPCG(h.Sum64(), 0)) //nolint:gosec // no secret
	x := float32(unknown / math.Sqrt(float64(len(v))))
	for k := 0; k < len(v); k += 64 {
		bits := r.Uint64()
		for j := k; j < min(k+64, len(v)); j, bits = j+1, bits>>1 {
			if bits&1 == 0 {
				v[j] += x
			} else {
				v[j] -= x
			}
		}
	}
}

// Classify is not for this model.
func (*Model) Classify(context.Context, []string) (scores [][]float32, tokens int, err error) {
	return nil, 0, infer.ErrNoHead
}

// Rerank is not for this model.
func (*Model) Rerank(context.Context, string, []string) (scores []float32, tokens int, err error) {
	return nil, 0, infer.ErrNoHead
}

// Close does nothing: the table is the caller's.
func (*Model) Close() error { return nil }

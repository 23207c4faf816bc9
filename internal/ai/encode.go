package ai

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"

	"github.com/selvage-dev/selvage/internal/ai/builtin"
	"github.com/selvage-dev/selvage/internal/ai/catalogue"
	"github.com/selvage-dev/selvage/internal/ai/fault"
	"github.com/selvage-dev/selvage/internal/ai/local"
	"github.com/selvage-dev/selvage/internal/ai/modelstore"
	"github.com/selvage-dev/selvage/internal/infer"
	"github.com/selvage-dev/selvage/internal/infer/lexical"
)

// openEncoder opens a model of this process. Vectors have the length 1, as those of the
// platform have.
func openEncoder(dir string) (local.Engine, int64, error) {
	if builtin.Has(dir) {
		m, err := builtin.Open(dir)
		if err != nil {
			return nil, 0, err
		}
		return m, m.Info().WeightBytes, nil
	}
	e, err := infer.OpenEncoder(dir, infer.Options{Normalize: true})
	if err != nil {
		return nil, 0, err // a nil *infer.Encoder must not become a non-nil interface
	}
	return e, e.Info().WeightBytes, nil
}

// use runs fn with the model's encoder, in its turn.
func (s *Service) use(ctx context.Context, caller *Caller, m *modelstore.Model, fn func(local.Encoder) error) error {
	release, err := wait(ctx, s.queueOf(m.Name, localSlots), caller)
	if err != nil {
		return err
	}
	defer release()
	err = s.engines.Use(ctx, m.Dir(), openEncoder, func(e local.Engine) error {
		encoder, ok := e.(local.Encoder)
		if !ok {
			return infer.ErrNoHead // it writes text
		}
		return fn(encoder)
	})
	broken, isBroken := errors.AsType[*infer.OpenError](err)
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case isBroken && broken.Reason != infer.Failed:
		return fault.Wrap(err, fault.CodeModelBroken, "The files of the model %s cannot be used (%s). The platform's log says why.", m.Name, broken.Reason)
	case errors.Is(err, infer.ErrNoHead):
		return fault.Wrap(err, fault.CodeModelBroken, "The model %s was added as one for %s, but it is not trained for that.", m.Name, m.Kind.Task().Name)
	case errors.Is(err, lexical.ErrPooling):
		return badInput(err)
	case errors.Is(err, infer.ErrBusy):
		return busy()
	case errors.Is(err, local.ErrClosed), errors.Is(err, infer.ErrClosed):
		return ErrClosed
	}
	return err
}

// encode runs a model of this process that writes no text.
func (s *Service) encode(ctx context.Context, caller *Caller, m *modelstore.Model, in *textInputs) (out []byte, tokens int, err error) {
	err = s.use(ctx, caller, m, func(e local.Encoder) error {
		switch m.Kind {
		case catalogue.Classification:
			out, tokens, err = classify(ctx, e, in)
		case catalogue.Reranking:
			out, tokens, err = rerank(ctx, e, in)
		case catalogue.EmbeddingsM3:
			out, tokens, err = embedM3(ctx, e, in)
		case catalogue.Embeddings, catalogue.Generation: // the latter does not come here
			fallthrough
		default:
			pooling := cmp.Or(in.Pooling, string(infer.Mean))
			var vectors [][]float32
			vectors, tokens, err = e.Embed(ctx, in.texts(), infer.Pooling(pooling))
			out = appendVectors(nil, "data", vectors, pooling)
		}
		return err
	})
	return out, tokens, err
}

func classify(ctx context.Context, e local.Encoder, in *textInputs) ([]byte, int, error) {
	scores, tokens, err := e.Classify(ctx, in.texts())
	if err != nil {
		return nil, 0, err
	}
	type class struct {
		Label string  `json:"label"`
		Score float32 `json:"score"`
	}
	labels := e.Info().Labels
	out := make([]class, min(len(scores[0]), len(labels)))
	for i := range out {
		out[i] = class{labels[i], scores[0][i]}
	}
	raw, err := json.Marshal(out)
	return raw, tokens, err
}

type scored struct {
	ID    int     `json:"id"`
	Score float32 `json:"score"`
}

// ranked writes scores, the best first.
func ranked(scores []scored, topK *float64) ([]byte, error) {
	slices.SortStableFunc(scores, func(a, b scored) int { return cmp.Compare(b.Score, a.Score) })
	if topK != nil && *topK < float64(len(scores)) {
		scores = scores[:int(*topK)]
	}
	return json.Marshal(map[string][]scored{"response": scores})
}

func rerank(ctx context.Context, e local.Encoder, in *textInputs) ([]byte, int, error) {
	logits, tokens, err := e.Rerank(ctx, *in.Query, in.contexts())
	if err != nil {
		return nil, 0, err
	}
	scores := make([]scored, len(logits))
	for i, x := range logits {
		scores[i] = scored{i, float32(1 / (1 + math.Exp(-float64(x))))}
	}
	out, err := ranked(scores, in.TopK)
	return out, tokens, err
}

// embedM3 makes vectors of a text or of contexts, or compares contexts with a query.
func embedM3(ctx context.Context, e local.Encoder, in *textInputs) ([]byte, int, error) {
	texts, name := in.texts(), "data"
	if len(in.Contexts) > 0 {
		texts, name = in.contexts(), "response"
	}
	if in.Query != nil {
		texts = append(texts, *in.Query)
	}
	vectors, tokens, err := e.Embed(ctx, texts, infer.CLS)
	if err != nil {
		return nil, 0, err
	}
	if in.Query == nil || len(in.Contexts) == 0 {
		return appendVectors(nil, name, vectors, string(infer.CLS)), tokens, nil
	}
	last := len(vectors) - 1
	scores := make([]scored, last)
	for i, v := range vectors[:last] {
		var dot float32
		for k := range v {
			dot += v[k] * vectors[last][k]
		}
		scores[i] = scored{i, dot}
	}
	out, err := ranked(scores, nil)
	return out, tokens, err
}

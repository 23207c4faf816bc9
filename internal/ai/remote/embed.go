package remote

import (
	"context"
	"encoding/json"

	"github.com/selvage-dev/selvage/internal/ai/fault"
)

// Embed has the server's model turn texts into vectors, one for each in their order.
// Tokens is 0 when the server does not count.
func (s *Server) Embed(ctx context.Context, model string, texts []string) (vectors [][]float32, tokens int, err error) {
	body, err := json.Marshal(map[string]any{"model": model, "input": texts, "encoding_format": "float"})
	if err != nil {
		return nil, 0, fault.Wrap(err, fault.CodeInternal, "the request cannot be written for the server %q", s.o.Name)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	res, err := s.post(ctx, "embeddings", body)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := readAll(ctx, res, s.o.FirstByte, cancel)
	if err != nil {
		return nil, 0, s.brokenOff(ctx, err)
	}
	var answer struct {
		Data []struct {
			Index     int       `json:"index"`
			Embedding []float32 `json:"embedding"`
		} `json:"data"`
		Usage struct {
			PromptTokens int `json:"prompt_tokens"`
		} `json:"usage"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil || len(answer.Data) != len(texts) {
		return nil, 0, s.nonsense(err)
	}
	vectors = make([][]float32, len(texts))
	for i := range answer.Data {
		d := &answer.Data[i]
		if d.Index < 0 || d.Index >= len(vectors) || vectors[d.Index] != nil || len(d.Embedding) == 0 || len(d.Embedding) != len(answer.Data[0].Embedding) {
			return nil, 0, s.nonsense(nil)
		}
		vectors[d.Index] = d.Embedding
	}
	return vectors, max(answer.Usage.PromptTokens, 0), nil
}

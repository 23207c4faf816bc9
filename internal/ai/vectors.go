package ai

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"github.com/selvage-dev/selvage/internal/ai/catalogue"
	"github.com/selvage-dev/selvage/internal/ai/fault"
	"github.com/selvage-dev/selvage/internal/ai/local"
	"github.com/selvage-dev/selvage/internal/infer"
)

// textInputs are what models take that write no text.
type textInputs struct {
	Text     json.RawMessage `json:"text"`
	Pooling  string          `json:"pooling"`
	Query    *string         `json:"query"`
	TopK     *float64        `json:"top_k"`
	Contexts []struct {
		Text string `json:"text"`
	} `json:"contexts"`
	Truncate bool `json:"truncate_inputs"`
}

// texts are the texts of "text", which is one or a list.
func (in *textInputs) texts() []string {
	var one string
	if json.Unmarshal(in.Text, &one) == nil {
		return []string{one}
	}
	var many []string
	_ = json.Unmarshal(in.Text, &many) // the schema saw to it
	return many
}

// contexts are the texts of "contexts".
func (in *textInputs) contexts() []string {
	out := make([]string, len(in.Contexts))
	for i := range in.Contexts {
		out[i] = in.Contexts[i].Text
	}
	return out
}

// vectors runs a model that writes no text.
func (s *Service) vectors(ctx context.Context, caller *Caller, m *Model, inputs []byte) (*Answer, error) {
	var in textInputs
	if err := json.Unmarshal(inputs, &in); err != nil {
		return nil, fault.Wrap(err, fault.CodeBadInput, "Bad input: Error: a field has the wrong type")
	}
	texts := append(in.texts(), in.contexts()...)
	if in.Query != nil {
		texts = append(texts, *in.Query)
	}
	u, theirs := s.route(m.Name)
	here := s.here(m.Name)
	vectorsOnly := (m.Kind == catalogue.Embeddings || m.Kind == catalogue.EmbeddingsM3) && in.Query == nil && len(in.Contexts) == 0
	switch {
	case u != nil && !vectorsOnly:
		return nil, NotOffered("The server %q can only make vectors of texts; %s needs an engine on this platform.", u.Name(), m.Name)
	case u == nil && (here == nil || m.State != Ready):
		return nil, notHere(m)
	}
	a := newAnswer(m)
	return a, s.counted(ctx, caller, m, len(inputs), texts, func() (tokens int, err error) {
		if u != nil {
			vectors, tokens, err := s.embedRemote(ctx, caller, u, theirs, texts)
			a.JSON = appendVectors(nil, "data", vectors, "")
			return tokens, err
		}
		a.JSON, tokens, err = s.encode(ctx, caller, here, &in)
		return tokens, err
	})
}

// counted runs fn, which reads texts and says how many tokens these had, within the
// caller's limits. When it returns nil the run is on disk.
func (s *Service) counted(ctx context.Context, caller *Caller, m *Model, inputBytes int, texts []string, fn func() (tokens int, err error)) error {
	guess := estimate(textSize(texts), len(texts))
	job, err := s.begin(caller, m, inputBytes, guess, 0)
	if err != nil {
		s.meter.ended(ctx, 0, 0, err)
		return err
	}
	tokens, err := fn()
	if err == nil && tokens == 0 {
		tokens = guess // the server does not count
	}
	s.meter.ended(ctx, tokens, 0, err)
	return errors.Join(err, job.Settle(ctx, int64(tokens), 0, err != nil))
}

func (s *Service) embedRemote(ctx context.Context, caller *Caller, u *upstream, theirs string, texts []string) (vectors [][]float32, tokens int, err error) {
	release, err := wait(ctx, u.queue, caller)
	if err != nil {
		return nil, 0, err
	}
	defer release()
	return u.Embed(ctx, theirs, texts)
}

// Embedded is what [Service.Embed] returns.
type Embedded struct {
	ID      string
	Vectors [][]float32
	Tokens  int
}

// Embed turns texts into vectors.
func (s *Service) Embed(ctx context.Context, caller *Caller, model string, texts []string) (*Embedded, error) {
	m, err := s.Model(model)
	if err != nil {
		return nil, err
	}
	own := m.Kind == catalogue.Generation && slices.Contains(s.ownRoutes(), m.Name) // what it is for only its server knows
	if m.Kind != catalogue.Embeddings && m.Kind != catalogue.EmbeddingsM3 && !own {
		return nil, fault.New(fault.CodeBadInput, "Bad input: Error: %s is a model for %s, not for embeddings", m.Name, m.Kind.Task().Name)
	}
	u, theirs := s.route(m.Name)
	here := s.here(m.Name)
	if u == nil && (here == nil || m.State != Ready) {
		return nil, notHere(&m)
	}
	e := &Embedded{ID: newAnswer(&m).ID}
	return e, s.counted(ctx, caller, &m, textSize(texts), texts, func() (tokens int, err error) {
		if u != nil {
			e.Vectors, e.Tokens, err = s.embedRemote(ctx, caller, u, theirs, texts)
			return e.Tokens, err
		}
		pooling := infer.Mean
		if m.Kind == catalogue.EmbeddingsM3 {
			pooling = infer.CLS
		}
		err = s.use(ctx, caller, here, func(engine local.Encoder) (err error) {
			e.Vectors, e.Tokens, err = engine.Embed(ctx, texts, pooling)
			return err
		})
		return e.Tokens, err
	})
}

// appendVectors writes vectors as the platform does, under a name; pooling "" is left out.
func appendVectors(out []byte, name string, vectors [][]float32, pooling string) []byte {
	dimensions := 0
	if len(vectors) > 0 {
		dimensions = len(vectors[0])
	}
	out = append(out, `{"shape":[`...)
	out = strconv.AppendInt(out, int64(len(vectors)), 10)
	out = append(out, ',')
	out = strconv.AppendInt(out, int64(dimensions), 10)
	out = append(append(append(out, `],"`...), name...), `":`...)
	out = AppendMatrix(out, vectors)
	if pooling != "" {
		out = append(append(append(out, `,"pooling":"`...), pooling...), '"')
	}
	return append(out, '}')
}

// AppendMatrix writes vectors as JSON.
func AppendMatrix(out []byte, vectors [][]float32) []byte {
	out = append(out, '[')
	for i, v := range vectors {
		if i > 0 {
			out = append(out, ',')
		}
		out = AppendVector(out, v)
	}
	return append(out, ']')
}

// AppendVector writes one vector as JSON, each number with as many digits as it needs.
func AppendVector(out []byte, v []float32) []byte {
	out = append(out, '[')
	for i, x := range v {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendFloat(out, float64(x), 'g', -1, 32)
	}
	return append(out, ']')
}

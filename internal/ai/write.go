package ai

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/selvage-dev/selvage/internal/ai/chat"
	"github.com/selvage-dev/selvage/internal/ai/dialect"
	"github.com/selvage-dev/selvage/internal/ai/fault"
	"github.com/selvage-dev/selvage/internal/ai/local"
	"github.com/selvage-dev/selvage/internal/ai/modelstore"
	"github.com/selvage-dev/selvage/internal/infer/decoder"
)

// textEngine is a model of this process that writes text, and how it is talked to.
type textEngine struct {
	local.Decoder

	dialect *dialect.Dialect
}

// brokenError is that of a model whose files cannot be used.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return "the model cannot be opened: " + e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

func (s *Service) openText(dir string) (local.Engine, int64, error) {
	d, err := s.o.OpenText(dir)
	if err != nil {
		return nil, 0, &brokenError{err}
	}
	return &textEngine{d, dialect.New(d)}, d.Info().WeightBytes, nil
}

// writeHere has a model of this process answer.
func (g *generation) writeHere(here *modelstore.Model) func(ctx context.Context, emit func(*chat.Delta) error) error {
	return func(ctx context.Context, emit func(*chat.Delta) error) error {
		err := g.s.engines.Use(ctx, here.Dir(), g.s.openText, func(e local.Engine) error {
			engine, ok := e.(*textEngine)
			if !ok {
				return &brokenError{errors.New("it writes no text")}
			}
			return g.write(ctx, engine, emit)
		})
		return g.explain(ctx, err)
	}
}

// explain makes an error of an engine one for the caller.
func (g *generation) explain(ctx context.Context, err error) error {
	long, isLong := errors.AsType[*decoder.TooLongError](err)
	problem, isProblem := errors.AsType[*dialect.InputError](err)
	_, isBroken := errors.AsType[*brokenError](err)
	why, isUnopened := errors.AsType[*decoder.OpenError](err)
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case isUnopened && why.Reason == decoder.Failed:
		return err
	case isUnopened:
		return fault.Wrap(err, fault.CodeModelBroken, "The files of the model %s cannot be used (%s). The platform's log says why.", g.m.Name, why.Reason)
	case isBroken:
		return fault.Wrap(err, fault.CodeModelBroken, "The files of the model %s cannot be used. The platform's log says why.", g.m.Name)
	case isLong: // how much longer is not known: it was not read to its end
		return fault.Wrap(err, fault.CodeBadInput, "Bad input: Error: the prompt is longer than the model's context of %d tokens, of which one at least is for the answer", long.Context)
	case isProblem:
		return badInput(problem)
	case errors.Is(err, decoder.ErrRequest):
		return badInput(err)
	case errors.Is(err, decoder.ErrBusy):
		return busy()
	case errors.Is(err, local.ErrClosed), errors.Is(err, decoder.ErrClosed):
		return ErrClosed
	}
	return err
}

// write runs the model. Text is passed on in whole characters as it comes; what may yet be
// a call is held back.
func (g *generation) write(ctx context.Context, e *textEngine, emit func(*chat.Delta) error) error {
	prompt, err := e.dialect.Prompt(ctx, g.r)
	if err != nil {
		return err
	}
	room := e.Info().Context
	if g.r.MaxTokens > room {
		return fault.New(fault.CodeBadInput, "Bad input: Error: '/max_tokens' must be <= %d, which is the model's context", room)
	}
	most := min(g.r.MaxTokens, room-len(prompt))
	held, err := e.dialect.Constraint(g.r, most)
	if err != nil {
		return err
	}
	r := &decoder.Request{Prompt: prompt, MaxTokens: most, Sampler: sampler(g.r), Stop: g.r.Stop}
	if held != nil {
		r.Mask = held
	}
	tools := g.r.Tools
	if g.r.NoTools() {
		tools = nil
	}
	reader := dialect.NewReader(tools)
	g.counted = &chat.Usage{}
	result, err := e.Generate(ctx, r, func(p decoder.Piece) error {
		g.counted.Prompt = len(prompt)
		g.counted.Completion += p.Tokens
		d := reader.Read(p.Text)
		if d.Text == "" && len(d.Tools) == 0 {
			g.note(ctx)
			return nil
		}
		return emit(d)
	})
	g.counted = &chat.Usage{Prompt: result.Prompt, Completion: result.Completion}
	if err != nil {
		return err
	}
	last, called := reader.End()
	if last.Text != "" || len(last.Tools) > 0 {
		if err := emit(last); err != nil {
			return err
		}
	}
	return emit(&chat.Delta{Finish: finish(result.Finish, held, called), Usage: g.counted})
}

func finish(f decoder.Finish, held *dialect.Constraint, called bool) string {
	switch {
	case called:
		return "tool_calls"
	case held != nil:
		return held.Finish(f)
	case f == decoder.FinishLength:
		return "length"
	}
	return "stop"
}

// The platform's defaults.
const defaultTemperature = 0.6

func sampler(r *chat.Request) decoder.Sampler {
	s := decoder.Sampler{Temperature: defaultTemperature, Seed: rand.Uint64()} //nolint:gosec // chance, no secret
	for to, from := range map[*float64]*float64{
		&s.Temperature: r.Temperature, &s.TopP: r.TopP, &s.Repetition: r.RepetitionPenalty, &s.Frequency: r.FrequencyPenalty, &s.Presence: r.PresencePenalty,
	} {
		if from != nil {
			*to = *from
		}
	}
	if r.TopK != nil {
		s.TopK = *r.TopK
	}
	if r.Seed != nil {
		s.Seed = uint64(*r.Seed) //nolint:gosec // any number will do
	}
	return s
}

package ai

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/selvage-dev/selvage/internal/ai/catalogue"
	"github.com/selvage-dev/selvage/internal/ai/chat"
	"github.com/selvage-dev/selvage/internal/ai/fault"
	"github.com/selvage-dev/selvage/internal/ai/ledger"
)

// Chat has a model of text generation answer.
func (s *Service) Chat(ctx context.Context, caller *Caller, model string, r *chat.Request, stream bool) (*Answer, error) {
	m, err := s.Model(model)
	if err != nil {
		return nil, err
	}
	if m.Kind != catalogue.Generation {
		return nil, fault.New(fault.CodeBadInput, "Bad input: Error: %s is a model for %s, not for chats", m.Name, m.Kind.Task().Name)
	}
	return s.chat(ctx, caller, &m, r, stream)
}

func (s *Service) chat(ctx context.Context, caller *Caller, m *Model, r *chat.Request, stream bool) (*Answer, error) { //nolint:revive // how the answer comes
	if m.Context > 0 && r.MaxTokens > m.Context {
		return nil, fault.New(fault.CodeBadInput, "Bad input: Error: '/max_tokens' must be <= %d, which is the model's context", m.Context)
	}
	u, theirs := s.route(m.Name)
	if u == nil {
		return nil, notHere(m)
	}
	g := &generation{s: s, caller: caller, m: m, r: r, u: u, theirs: theirs, stream: stream}
	a := newAnswer(m)
	a.Format = r.Format
	if stream {
		a.Stream = func(emit func(*chat.Delta) error) error { return g.run(ctx, emit) }
		return a, nil
	}
	if err := g.run(ctx, func(*chat.Delta) error { return nil }); err != nil {
		return nil, err
	}
	a.Result = g.all.Result()
	if r.Format.JSON && len(a.Result.ToolCalls) == 0 && !json.Valid([]byte(a.Result.Text)) {
		return nil, fault.New(fault.CodeJSONMode, "JSON Mode couldn't be met: the model's answer is not JSON (finish reason %q)", a.Result.Finish)
	}
	return a, nil
}

// generation is one run of a model that writes text.
type generation struct {
	s      *Service
	caller *Caller
	m      *Model
	r      *chat.Request
	u      *upstream
	theirs string
	stream bool

	all  chat.Collector
	text int // bytes that came
}

// run has the model answer, and counts it: when it returns nil that is on disk.
func (g *generation) run(ctx context.Context, emit func(*chat.Delta) error) error {
	size := inputSize(g.r)
	in := estimate(size, len(g.r.Messages)+1)
	job, err := g.s.begin(g.caller, g.m, size, in, g.r.MaxTokens)
	if err != nil {
		return err
	}
	err = g.generate(ctx, job, in, emit)
	usage := g.used(in)
	if err != nil && g.all.Pieces() == 0 && g.all.Usage() == nil {
		usage = &chat.Usage{} // nothing was made
	}
	return errors.Join(err, job.Settle(ctx, int64(usage.Prompt), int64(usage.Completion), err != nil))
}

// used is what the run took so far: what the server counted, or a guess.
func (g *generation) used(in int) *chat.Usage {
	if u := g.all.Usage(); u != nil {
		return u
	}
	return &chat.Usage{Prompt: in, Completion: max(g.all.Pieces(), g.text/bytesPerToken), Estimated: true}
}

func (g *generation) generate(ctx context.Context, job *ledger.Job, in int, emit func(*chat.Delta) error) error {
	release, err := wait(ctx, g.u.queue, g.caller)
	if err != nil {
		return err
	}
	defer release()
	err = g.u.Chat(ctx, g.theirs, g.r, g.stream, func(d *chat.Delta) error {
		if err := g.all.Add(d); err != nil {
			return fault.Wrap(err, fault.CodeUpstream, "The server %q sent a tool call that cannot be read", g.u.Name())
		}
		g.text += len(d.Text) + len(d.Reasoning)
		job.Note(ctx, int64(in), int64(g.used(in).Completion))
		return emit(d)
	})
	if err != nil || g.all.Usage() != nil {
		return err
	}
	d := &chat.Delta{Usage: g.used(in)}
	if err := g.all.Add(d); err != nil {
		return err
	}
	return emit(d)
}

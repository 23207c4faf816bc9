package ai

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/selvage-dev/selvage/internal/ai/admit"
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
	g := &generation{s: s, caller: caller, m: m, r: r, stream: stream}
	u, theirs := s.route(m.Name)
	here := s.here(m.Name)
	switch {
	case u != nil:
		g.queue, g.answer = u.queue, g.askServer(u, theirs)
	case here != nil && m.State == Ready:
		g.queue, g.answer = s.queueOf(m.Name, TextSlots), g.writeHere(here)
	default:
		return nil, notHere(m)
	}
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
	stream bool

	queue *admit.Queue
	// answer has the model write. It ends with the finish reason, or with an error.
	answer func(ctx context.Context, emit func(*chat.Delta) error) error

	job *ledger.Job
	in  int // tokens of the input, a guess
	all chat.Collector
	// counted is what was used so far, if that is known.
	counted *chat.Usage
	text    int // bytes that came
}

// run has the model answer, and counts it: when it returns nil that is on disk.
func (g *generation) run(ctx context.Context, emit func(*chat.Delta) error) error {
	size := inputSize(g.r)
	g.in = estimate(size, len(g.r.Messages)+1)
	var err error
	if g.job, err = g.s.begin(g.caller, g.m, size, g.in, g.r.MaxTokens); err != nil {
		g.s.meter.ended(ctx, 0, 0, err)
		return err
	}
	err = g.generate(ctx, emit)
	usage := g.used()
	if err != nil && g.counted == nil && g.all.Pieces() == 0 && g.all.Usage() == nil {
		usage = &chat.Usage{} // nothing was made
	}
	g.s.meter.ended(ctx, usage.Prompt, usage.Completion, err)
	return errors.Join(err, g.job.Settle(ctx, int64(usage.Prompt), int64(usage.Completion), err != nil))
}

// used is what the run took so far: what was counted, or a guess.
func (g *generation) used() *chat.Usage {
	if g.counted != nil {
		return g.counted
	}
	if u := g.all.Usage(); u != nil {
		return u
	}
	return &chat.Usage{Prompt: g.in, Completion: max(g.all.Pieces(), g.text/bytesPerToken), Estimated: true}
}

// note records what was used so far, if it is a while since that was done.
func (g *generation) note(ctx context.Context) {
	u := g.used()
	g.job.Note(ctx, int64(u.Prompt), int64(u.Completion))
}

// generate waits for the run's turn, and has the model write.
func (g *generation) generate(ctx context.Context, emit func(*chat.Delta) error) error {
	release, err := wait(ctx, g.queue, g.caller)
	if err != nil {
		return err
	}
	defer release()
	err = g.answer(ctx, func(d *chat.Delta) error {
		if err := g.all.Add(d); err != nil {
			return fault.Wrap(err, fault.CodeUpstream, "The model %s wrote a tool call that cannot be read", g.m.Name)
		}
		g.text += len(d.Text) + len(d.Reasoning)
		g.note(ctx)
		return emit(d)
	})
	if err != nil || g.all.Usage() != nil {
		return err
	}
	d := &chat.Delta{Usage: g.used()}
	if err := g.all.Add(d); err != nil {
		return err
	}
	return emit(d)
}

// askServer has a server behind the platform answer.
func (g *generation) askServer(u *upstream, theirs string) func(ctx context.Context, emit func(*chat.Delta) error) error {
	return func(ctx context.Context, emit func(*chat.Delta) error) error {
		return u.Chat(ctx, theirs, g.r, g.stream, emit)
	}
}

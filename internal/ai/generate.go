package ai

import (
	"context"
	"encoding/json"

	"github.com/selvage-dev/selvage/internal/ai/catalogue"
	"github.com/selvage-dev/selvage/internal/ai/chat"
	"github.com/selvage-dev/selvage/internal/ai/fault"
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
	a := newAnswer(m)
	a.Format = r.Format
	generate := func(emit func(*chat.Delta) error) (*chat.Result, error) {
		release, err := wait(ctx, u.queue, caller)
		if err != nil {
			return nil, err
		}
		defer release()
		var all chat.Collector
		err = u.Chat(ctx, theirs, r, stream, func(d *chat.Delta) error {
			if err := all.Add(d); err != nil {
				return fault.Wrap(err, fault.CodeUpstream, "The server %q sent a tool call that cannot be read", u.Name())
			}
			return emit(d)
		})
		if err == nil && all.Usage() == nil {
			usage := &chat.Usage{Prompt: estimate(r), Completion: max(all.Pieces(), len(all.Result().Text)/bytesPerToken), Estimated: true}
			d := &chat.Delta{Usage: usage}
			if err = all.Add(d); err == nil {
				err = emit(d)
			}
		}
		return all.Result(), err
	}
	if stream {
		a.Stream = func(emit func(*chat.Delta) error) error {
			_, err := generate(emit)
			return err
		}
		return a, nil
	}
	var err error
	a.Result, err = generate(func(*chat.Delta) error { return nil })
	if err != nil {
		return nil, err
	}
	if r.Format.JSON && len(a.Result.ToolCalls) == 0 && !json.Valid([]byte(a.Result.Text)) {
		return nil, fault.New(fault.CodeJSONMode, "JSON Mode couldn't be met: the model's answer is not JSON (finish reason %q)", a.Result.Finish)
	}
	return a, nil
}

// bytesPerToken is about what English text has.
const bytesPerToken = 4

// estimate guesses the tokens of a request for a server that does not count.
func estimate(r *chat.Request) int {
	n := len(r.Prompt)
	for i := range r.Messages {
		n += len(r.Messages[i].Content) + bytesPerToken
	}
	return n/bytesPerToken + 1
}

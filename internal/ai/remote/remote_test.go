package remote_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/ai/chat"
	"github.com/selvage-dev/selvage/internal/ai/fault"
	"github.com/selvage-dev/selvage/internal/ai/remote"
	"github.com/selvage-dev/selvage/internal/ai/remote/openaitest"
)

func start(t *testing.T, o remote.Options) (*remote.Server, *openaitest.Server) { //nolint:gocritic // once
	t.Helper()
	fake := &openaitest.Server{Key: "secret"}
	h := httptest.NewServer(fake)
	t.Cleanup(h.Close)
	u, err := url.Parse(h.URL + "/v1")
	if err != nil {
		t.Fatal(err)
	}
	o.Name, o.URL = "test", u
	if o.Key == "" {
		o.Key = "secret"
	}
	s := remote.New(o)
	t.Cleanup(s.Close)
	return s, fake
}

func hello(text string) *chat.Request {
	return &chat.Request{Messages: []chat.Message{{Role: "user", Content: text}}, MaxTokens: 10}
}

// ask collects an answer.
func ask(ctx context.Context, s *remote.Server, model string, r *chat.Request, stream bool) (*chat.Result, int, error) {
	var all chat.Collector
	err := s.Chat(ctx, model, r, stream, all.Add)
	return all.Result(), all.Pieces(), err
}

func TestChat(t *testing.T) {
	t.Parallel()
	s, _ := start(t, remote.Options{})
	for _, stream := range []bool{false, true} {
		r, pieces, err := ask(t.Context(), s, "echo", hello("one two three"), stream)
		if err != nil || r.Text != "one two three" || r.Finish != "stop" || r.Usage.Prompt != 7 || r.Usage.Completion != 3 {
			t.Errorf("stream %v: %+v %v", stream, r, err)
		}
		if want := map[bool]int{false: 1, true: 3}[stream]; pieces != want {
			t.Errorf("stream %v: %d pieces", stream, pieces)
		}
		r, _, err = ask(t.Context(), s, "echo", &chat.Request{Raw: true, Prompt: "go on", MaxTokens: 1}, stream)
		if err != nil || r.Text != "go on" {
			t.Errorf("raw, stream %v: %+v %v", stream, r, err)
		}
		tools := hello("weather?")
		tools.Tools = []chat.Tool{{Name: "weather"}}
		r, _, err = ask(t.Context(), s, "tools", tools, stream)
		if err != nil || len(r.ToolCalls) != 1 || r.ToolCalls[0] != (chat.ToolCall{ID: "call_1", Name: "weather", Arguments: `{"city":"Ghent"}`}) || r.Finish != "tool_calls" {
			t.Errorf("tools, stream %v: %+v %v", stream, r, err)
		}
	}
}

func TestEmbed(t *testing.T) {
	t.Parallel()
	s, _ := start(t, remote.Options{})
	vectors, tokens, err := s.Embed(t.Context(), "embed", []string{"a", "bcd"})
	if err != nil || tokens != 6 || len(vectors) != 2 || vectors[0][0] != 1 || vectors[1][0] != 3 {
		t.Errorf("%v %d %v", vectors, tokens, err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		model    string
		stream   bool
		code     int
		text     string
		requests int64
	}{
		{"status 400", false, fault.CodeBadInput, "failing as told", 1},
		{"status 404", false, fault.CodeUpstream, "does not have the model", 1},
		{"status 413", false, fault.CodeTooLarge, "too large", 1},
		{"status 429", false, fault.CodeCapacity, "too much to do", 3},
		{"status 500", false, fault.CodeUpstream, "failed (500)", 1},
		{"status 503", true, fault.CodeUpstream, "failed (503)", 3},
		{"broken", true, fault.CodeUpstream, "broke off", 1},
		{"garbage", true, fault.CodeUpstream, "not OpenAI's API", 1},
		{"huge", true, fault.CodeUpstream, "not OpenAI's API", 1},
		{"stall", true, fault.CodeTimeout, "stopped answering", 1},
	} {
		t.Run(c.model, func(t *testing.T) {
			t.Parallel()
			s, fake := start(t, remote.Options{Stall: 200 * time.Millisecond})
			_, _, err := ask(t.Context(), s, c.model, hello("x"), c.stream)
			e, ok := errors.AsType[*fault.Error](err)
			if !ok || e.Code != c.code || !strings.Contains(e.Message, c.text) {
				t.Errorf("%v", err)
			}
			if ok && (strings.Contains(e.Message, "127.0.0.1") || strings.Contains(e.Message, "secret")) {
				t.Errorf("the error shows the server's address: %s", e.Message)
			}
			if n := fake.Requests.Load(); n != c.requests {
				t.Errorf("%d requests, want %d", n, c.requests)
			}
		})
	}
}

func TestRetrySucceeds(t *testing.T) {
	t.Parallel()
	s, fake := start(t, remote.Options{})
	r, _, err := ask(t.Context(), s, "flaky", hello("x"), true)
	if err != nil || r.Text != "x" || fake.Requests.Load() != 3 {
		t.Errorf("%+v after %d requests: %v", r, fake.Requests.Load(), err)
	}
}

func TestWrongKey(t *testing.T) {
	t.Parallel()
	s, _ := start(t, remote.Options{Key: "wrong"})
	_, _, err := ask(t.Context(), s, "echo", hello("x"), true)
	if e, ok := errors.AsType[*fault.Error](err); !ok || e.Code != fault.CodeUpstream || strings.Contains(e.Message, "wrong") || strings.Contains(e.Message, "no such key") {
		t.Errorf("%v", err)
	}
}

// TestLeaving has a caller go away in the middle of a stream: the server must hear of it.
func TestLeaving(t *testing.T) {
	t.Parallel()
	s, fake := start(t, remote.Options{})
	ctx, leave := context.WithCancel(t.Context())
	pieces := 0
	err := s.Chat(ctx, "endless", hello("x"), true, func(*chat.Delta) error {
		if pieces++; pieces == 3 {
			leave()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	gone := errors.New("the reader is gone")
	if err := s.Chat(t.Context(), "endless", hello("x"), true, func(*chat.Delta) error { return gone }); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
	for deadline := time.Now().Add(5 * time.Second); fake.Left.Load() != 2; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of 2 requests were stopped", fake.Left.Load())
		}
	}
	if s.Down() {
		t.Error("those who left count as the server's failures")
	}
}

// TestBreaker has a server die: soon its requests fail at once, and one finds out when it is
// back.
func TestBreaker(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	s, fake := start(t, remote.Options{Now: func() time.Time { return now }})
	for range 5 {
		if _, _, err := ask(t.Context(), s, "status 500", hello("x"), false); err == nil {
			t.Fatal("it did not fail")
		}
	}
	before := fake.Requests.Load()
	_, _, err := ask(t.Context(), s, "echo", hello("x"), false)
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Code != fault.CodeCapacity || e.RetryAfter != 2*time.Second || fake.Requests.Load() != before || !s.Down() {
		t.Errorf("%v after %d requests more", err, fake.Requests.Load()-before)
	}
	now = now.Add(2 * time.Second)
	if _, _, err := ask(t.Context(), s, "status 500", hello("x"), false); err == nil {
		t.Error("it did not fail")
	}
	if _, _, err := ask(t.Context(), s, "echo", hello("x"), false); err == nil || !strings.Contains(err.Error(), "4s") {
		t.Errorf("after a probe that failed: %v", err)
	}
	now = now.Add(4 * time.Second)
	for range 3 {
		if _, _, err := ask(t.Context(), s, "echo", hello("x"), false); err != nil {
			t.Errorf("when it is back: %v", err)
		}
	}
}

// Package openaitest is a small server with OpenAI's API for tests. What it does depends
// on the model that is asked for; see Server.
package openaitest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Server answers as its models do:
//
//	echo      says what the last message says, word by word
//	quiet     the same, and never counts tokens
//	tools     asks for the first function of the request, then says what the function said
//	json      says {"answer":42}
//	endless   says "la " until nobody listens
//	stall     says one word and then nothing
//	broken    says one word and hangs up
//	garbage   says what is no JSON
//	huge      says a line of 2 MiB
//	status N  fails with this status
//	flaky     fails with 503 twice, then echoes
//	embed     turns each text into [its length, 1, 0]
type Server struct {
	// Key, if set, is wanted of every request.
	Key string

	Requests, Running, Peak atomic.Int64
	// Left counts the requests whose client hung up before the end.
	Left atomic.Int64

	mu    sync.Mutex
	last  json.RawMessage
	flaky int
}

// Last is the body of the last request.
func (s *Server) Last() json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

type request struct {
	Model    string `json:"model"`
	Stream   bool   `json:"stream"`
	Prompt   string `json:"prompt"`
	Messages []struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	} `json:"messages"`
	Tools []struct {
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	} `json:"tools"`
	Input []string `json:"input"`
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.Requests.Add(1)
	running := s.Running.Add(1)
	defer s.Running.Add(-1)
	for peak := s.Peak.Load(); running > peak && !s.Peak.CompareAndSwap(peak, running); peak = s.Peak.Load() {
	}
	if s.Key != "" && r.Header.Get("Authorization") != "Bearer "+s.Key {
		fail(w, http.StatusUnauthorized, "no such key")
		return
	}
	var in request
	var raw json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&raw); err != nil || json.Unmarshal(raw, &in) != nil {
		fail(w, http.StatusBadRequest, "not JSON")
		return
	}
	s.mu.Lock()
	s.last = raw
	s.mu.Unlock()
	switch {
	case strings.HasSuffix(r.URL.Path, "/embeddings"):
		embed(w, &in)
	case strings.HasSuffix(r.URL.Path, "completions"):
		s.complete(w, r, &in)
	default:
		fail(w, http.StatusNotFound, "no such path")
	}
}

func fail(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"message":%q,"type":"test"}}`, text) //nolint:errcheck // a test's server
}

func embed(w http.ResponseWriter, in *request) {
	type item struct {
		Index     int       `json:"index"`
		Embedding []float32 `json:"embedding"`
	}
	items := []item{}
	for i := range in.Input { // the last first: the index counts
		i = len(in.Input) - 1 - i
		items = append(items, item{i, []float32{float32(len(in.Input[i])), 1, 0}})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"data": items, "usage": map[string]int{"prompt_tokens": 3 * len(items)}})
}

// said is what the last message says.
func (in *request) said() string {
	if len(in.Messages) == 0 {
		return in.Prompt
	}
	return in.Messages[len(in.Messages)-1].Content
}

func (s *Server) complete(w http.ResponseWriter, r *http.Request, in *request) {
	model := in.Model
	var status int
	if n, _ := fmt.Sscanf(model, "status %d", &status); n == 1 {
		fail(w, status, "failing as told")
		return
	}
	if model == "flaky" {
		s.mu.Lock()
		s.flaky++
		again := s.flaky%3 != 0
		s.mu.Unlock()
		if again {
			fail(w, http.StatusServiceUnavailable, "starting")
			return
		}
	}
	o := &output{w: w, stream: in.Stream, raw: in.Prompt != "", quiet: model == "quiet"}
	switch model {
	case "tools":
		if len(in.Tools) > 0 && in.Messages[len(in.Messages)-1].Role != "tool" {
			o.call(in.Tools[0].Function.Name, `{"city":"Ghent"}`)
			return
		}
	case "json":
		o.words([]string{`{"answer"`, `:42}`})
		return
	case "endless":
		s.endless(o, r)
		return
	case "stall":
		o.text("one")
		<-r.Context().Done()
		s.Left.Add(1)
		return
	case "broken":
		o.text("one")
		panic(http.ErrAbortHandler)
	case "garbage":
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: {what}\n\n") //nolint:errcheck // a test's server
		return
	case "huge":
		o.text(strings.Repeat("a", 2<<20))
		return
	}
	words := strings.SplitAfter(in.said(), " ")
	o.words(words)
}

func (s *Server) endless(o *output, r *http.Request) {
	const pause = 2 * time.Millisecond
	for r.Context().Err() == nil {
		o.text("la ")
		time.Sleep(pause)
	}
	s.Left.Add(1)
}

package config

import (
	"net/url"
	"strings"
	"time"
)

// AI says where models run.
type AI struct {
	Upstreams []AIUpstream
	Routes    []AIRoute
	// Keys is a file with a line NAME=KEY for each upstream that wants a key; "" for none.
	Keys string
	// FirstByte is how long an upstream's answer may take to begin, Stall how long it
	// may pause then.
	FirstByte, Stall  time.Duration
	Concurrent, Queue int
}

func defaultAI() AI {
	return AI{FirstByte: 2 * time.Minute, Stall: time.Minute, Concurrent: 32, Queue: 256}
}

// AIUpstream is a server with OpenAI's API: NAME=URL.
type AIUpstream struct {
	Name string
	URL  *url.URL
}

// String returns the upstream as the configuration takes it.
func (u AIUpstream) String() string { return u.Name + "=" + u.URL.String() }

func parseUpstream(text string) (AIUpstream, bool) {
	name, address, ok := strings.Cut(text, "=")
	if !ok || !validLabel(name) {
		return AIUpstream{}, false
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return AIUpstream{}, false
	}
	return AIUpstream{name, u}, true
}

// AIRoute says which upstream runs a model: MODEL=UPSTREAM, or MODEL=UPSTREAM:THEIRS
// when the upstream calls it THEIRS. MODEL may end in *.
type AIRoute struct{ Model, Upstream, Theirs string }

// String returns the route as the configuration takes it.
func (r AIRoute) String() string {
	if r.Theirs == "" {
		return r.Model + "=" + r.Upstream
	}
	return r.Model + "=" + r.Upstream + ":" + r.Theirs
}

func parseRoute(text string) (AIRoute, bool) {
	model, to, ok := strings.Cut(text, "=")
	upstream, theirs, named := strings.Cut(to, ":")
	bare := strings.TrimSuffix(model, "*")
	if !ok || model == "" || strings.Contains(bare, "*") || strings.ContainsAny(text, " \t") || !validLabel(upstream) || named && theirs == "" {
		return AIRoute{}, false
	}
	return AIRoute{model, upstream, theirs}, true
}

func aiOptions() []Option {
	return []Option{
		{
			Key: "ai.upstreams", Doc: "Servers with OpenAI's API that run models, such as vLLM, llama-server or Ollama: a name and the base URL of each.",
			Want: `NAME=URL, such as "vllm=http://127.0.0.1:8000/v1"`, value: func(c *Config) any { return &c.AI.Upstreams },
		},
		{
			Key: "ai.routes", Doc: "Which of them runs which model, and what it calls it after a colon. A model that ends in * stands for all that begin so; a full name goes before it.",
			Want: `MODEL=NAME or MODEL=NAME:THEIRS, such as "@cf/meta/llama-3.1-8b-instruct=vllm:meta-llama/Llama-3.1-8B-Instruct"`, value: func(c *Config) any { return &c.AI.Routes },
		},
		{
			Key: "ai.keys", Doc: "A file with a line NAME=KEY for each of them that wants a key. Nobody but its owner may read it.", Want: "a path",
			value: func(c *Config) any { return &c.AI.Keys },
		},
		{
			Key: "ai.first_byte", Doc: "How long such a server may take to begin an answer.", Want: wantTimeout,
			value: func(c *Config) any { return &c.AI.FirstByte }, check: func(c *Config) bool { return validTimeout(c.AI.FirstByte) },
		},
		{
			Key: "ai.stall", Doc: "How long it may pause within a streamed answer.", Want: wantTimeout,
			value: func(c *Config) any { return &c.AI.Stall }, check: func(c *Config) bool { return validTimeout(c.AI.Stall) },
		},
		{
			Key: "ai.concurrent", Doc: "Requests that one such server gets at once; more wait in turn, one worker after the other.", Want: "a number from 1 to 10000",
			value: func(c *Config) any { return &c.AI.Concurrent }, check: func(c *Config) bool { return between(c.AI.Concurrent, 1, 10_000) },
		},
		{
			Key: "ai.queue", Doc: "Requests that may wait for one model or server; more are refused with 429.", Want: "a number from 1 to 100000",
			value: func(c *Config) any { return &c.AI.Queue }, check: func(c *Config) bool { return between(c.AI.Queue, 1, 100_000) },
		},
	}
}

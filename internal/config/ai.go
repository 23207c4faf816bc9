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

	// Hubs are where models are pulled from; the first is asked first.
	Hubs []AIHub
	// Disk bounds the files of all models, Memory the weights of those that are loaded.
	Disk, Memory Size
	// Idle is how long a model stays loaded without being asked.
	Idle time.Duration
}

func defaultAI() AI {
	return AI{
		FirstByte: 2 * time.Minute, Stall: time.Minute, Concurrent: 32, Queue: 256,
		Hubs: []AIHub{{&url.URL{Scheme: "https", Host: "huggingface.co"}}}, Disk: 100 << 30, Memory: 4 << 30, Idle: 10 * time.Minute,
	}
}

// AIHub is the base URL of Hugging Face's hub, or of a mirror of it.
type AIHub struct{ *url.URL }

func parseHub(text string) (AIHub, bool) {
	u, ok := parseBase(text)
	return AIHub{u}, ok
}

// parseBase reads the base URL of a server: no credentials, no query.
func parseBase(text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	ok := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
	return u, ok
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
	u, ok := parseBase(address)
	return AIUpstream{name, u}, ok
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
		{
			Key: "ai.hubs", Doc: "Where models are pulled from: Hugging Face's hub, or mirrors of it, the first before the others. Nothing is pulled unless somebody asks for it. The line hub=TOKEN in the file of ai.keys is for gated models, and sent to the first one only.",
			Want: "URLs", value: func(c *Config) any { return &c.AI.Hubs },
		},
		{
			Key: "ai.disk", Doc: "Disk that the files of all models may take.", Want: "a size from 1MiB, such as 100GiB",
			value: func(c *Config) any { return &c.AI.Disk }, check: func(c *Config) bool { return c.AI.Disk >= 1<<20 },
		},
		{
			Key: "ai.memory", Doc: "Memory that the weights of all loaded models may take; the one used least recently makes room.", Want: "a size from 1MiB, such as 4GiB",
			value: func(c *Config) any { return &c.AI.Memory }, check: func(c *Config) bool { return c.AI.Memory >= 1<<20 },
		},
		{
			Key: "ai.idle", Doc: "How long a model stays in memory without being asked.", Want: "a duration of 1s or more, such as 10m",
			value: func(c *Config) any { return &c.AI.Idle }, check: func(c *Config) bool { return c.AI.Idle >= time.Second },
		},
	}
}

package decoder

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/selvage-dev/selvage/internal/infer/tokenizer"
)

const (
	maxContext    = 32768
	leastCache    = 256 << 20
	mostCache     = 1 << 30
	defaultBatch  = 32
	defaultQueue  = 1000
	maxStops      = 64
	maxStopLength = 1024
)

func (o Options) withDefaults() Options {
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.Context <= 0 {
		o.Context = maxContext
	}
	if o.Batch <= 0 {
		o.Batch = defaultBatch
	}
	if o.Queue <= 0 {
		o.Queue = defaultQueue
	}
	return o
}

// Model is an open model. It is safe for concurrent use.
type Model struct {
	w         *weights
	words     *words
	text      *tokenizer.Text
	plain     *tokenizer.Tokenizer
	cache     *cache
	scheduler *scheduler
	context   int
	bytes     int64
	close     func() error
}

// Open opens the model at path: a GGUF file; a folder with one; or a folder with
// config.json, tokenizer.json and model.safetensors, or several such files with
// an index. Errors are [*OpenError]. The caller closes the model.
func Open(path string, o Options) (*Model, error) {
	m, err := open(path, o.withDefaults())
	if err != nil {
		return nil, openError(path, err)
	}
	return m, nil
}

func open(path string, o Options) (_ *Model, err error) {
	s, err := openSource(path)
	if err != nil {
		return nil, err
	}
	c, err := s.config()
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	m := &Model{}
	if m.words, err = s.words(); err == nil {
		err = m.setWords(c)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	if m.w, err = openWeights(s, c, o.Threads); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.w.close())
		}
	}()
	m.context = min(c.context, o.Context)
	m.bytes = o.CacheBytes
	whole := int64(blocksFor(m.context)) * blockBytes(c)
	if m.bytes <= 0 {
		m.bytes = min(max(whole, leastCache), mostCache)
	}
	if m.bytes < blockBytes(c) {
		return nil, unsupported("%d bytes for keys and values; %d tokens take %d", m.bytes, blockTokens, blockBytes(c))
	}
	if m.cache, err = newCache(c, m.bytes); err != nil {
		return nil, err
	}
	m.context = min(m.context, m.cache.total*blockTokens)
	m.scheduler = newScheduler(m, m.w, m.cache, o)
	m.close = sync.OnceValue(func() error {
		m.scheduler.close()
		return errors.Join(m.cache.room.Free(), m.w.close())
	})
	return m, nil
}

// openSource finds out what is at path.
func openSource(path string) (source, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.IsDir():
		return openGGUF(path)
	}
	files, err := filepath.Glob(filepath.Join(escape(path), "*.gguf"))
	switch {
	case err != nil:
		return nil, err
	case len(files) == 1:
		return openGGUF(files[0])
	case len(files) > 1:
		return nil, unsupported("%d GGUF files in one folder; a model in parts is to be merged, for instance with llama-gguf-split --merge", len(files))
	}
	return openDir(path)
}

// escape makes a path a pattern that matches it.
func escape(path string) string {
	return strings.NewReplacer("*", `\*`, "?", `\?`, "[", `\[`, `\`, `\\`).Replace(path)
}

func (m *Model) setWords(c *config) error {
	w := m.words
	if w.tokens.Vocabulary() > c.vocabulary {
		return invalid("its vocabulary has %d tokens, its embeddings %d", w.tokens.Vocabulary(), c.vocabulary)
	}
	var err error
	if m.text, err = w.tokens.Text(); err != nil {
		return err
	}
	m.plain = w.tokens.Plain()
	return nil
}

// Info describes the model.
func (m *Model) Info() Info {
	return Info{
		Architecture: m.w.c.architecture, Name: m.words.name, Context: m.context, Vocabulary: m.w.c.vocabulary,
		Template: m.words.template, BOS: m.text.Special(m.words.bos), EOS: m.text.Special(m.words.eos),
		WeightBytes: m.w.bytes(), CacheBytes: m.bytes,
	}
}

// Tokens returns the tokens of text, at most limit of them, or all if limit is
// 0. Special tokens are found in it only if asked for: those of a chat template
// are, what a user wrote is text whatever it looks like. None are added.
func (m *Model) Tokens(text string, special bool, limit int) []int32 { //nolint:revive // how text is read
	if special {
		return m.words.tokens.Tokens(text, limit)
	}
	return m.plain.Tokens(text, limit)
}

// BOS returns the token that begins a text, if the model has one.
func (m *Model) BOS() (int32, bool) { return m.words.bos, m.words.bos >= 0 }

// TokenBytes is what a token adds to a text; nothing for special tokens. The caller
// does not change it.
func (m *Model) TokenBytes(token int32) []byte { return m.text.Bytes(token) }

// Ends reports whether a token ends a text.
func (m *Model) Ends(token int32) bool { return slices.Contains(m.words.ends, token) }

// Generate writes, and calls emit with each piece from the caller's goroutine.
// An error of emit, or the end of ctx, stops the work within one token, and is
// returned. The result is valid with an error too: it counts what was done until
// then.
func (m *Model) Generate(ctx context.Context, r *Request, emit func(Piece) error) (Result, error) {
	if err := m.check(r); err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := &chat{
		ctx: ctx, r: r, max: min(r.MaxTokens, m.context-len(r.Prompt)), done: make(chan struct{}),
		sampler: newSampler(r.Sampler, r.Prompt, m.w.c.vocabulary, r.Mask != nil), writer: newWriter(r.Stop),
		result: Result{Prompt: len(r.Prompt)}, mail: mailbox{news: make(chan struct{}, 1)},
	}
	if err := m.scheduler.submit(c); err != nil {
		return Result{}, err
	}
	gone := ctx.Done()
	var failed error
	send := func() {
		if p := c.mail.take(); failed == nil && p != (Piece{}) {
			if failed = emit(p); failed != nil {
				cancel(failed)
			}
		}
	}
	for {
		select {
		case <-c.mail.news:
			send()
		case <-gone:
			gone = nil
			m.scheduler.withdraw(c)
		case <-c.done:
			if c.err == nil {
				send()
			}
			return c.result, errors.Join(failed, notTwice(c.err, failed))
		}
	}
}

// notTwice is err, unless it is that which is told already.
func notTwice(err, told error) error {
	if told != nil && errors.Is(err, told) {
		return nil
	}
	return err
}

func (m *Model) check(r *Request) error {
	switch {
	case len(r.Prompt) == 0:
		return fmt.Errorf("%w: the prompt is empty", ErrRequest)
	case r.MaxTokens <= 0:
		return fmt.Errorf("%w: the number of tokens to write is %d", ErrRequest, r.MaxTokens)
	case len(r.Prompt) >= m.context:
		return &TooLongError{Prompt: len(r.Prompt), Context: m.context}
	case len(r.Stop) > maxStops:
		return fmt.Errorf("%w: %d stop strings; %d are allowed", ErrRequest, len(r.Stop), maxStops)
	}
	for _, s := range r.Stop {
		if len(s) > maxStopLength {
			return fmt.Errorf("%w: a stop string of %d bytes; %d are allowed", ErrRequest, len(s), maxStopLength)
		}
	}
	for _, id := range r.Prompt {
		if id < 0 || int(id) >= m.w.c.vocabulary {
			return fmt.Errorf("%w: the prompt has the token %d; there are %d", ErrRequest, id, m.w.c.vocabulary)
		}
	}
	return r.Sampler.check()
}

func (s *Sampler) check() error {
	for _, x := range []struct {
		name             string
		value, low, high float64
	}{
		{"temperature", s.Temperature, 0, 1000},
		{"top_p", s.TopP, 0, 1},
		{"top_k", float64(s.TopK), 0, math.MaxInt32},
		{"repetition penalty", s.Repetition, 0, 1000},
		{"frequency penalty", s.Frequency, -1000, 1000},
		{"presence penalty", s.Presence, -1000, 1000},
	} {
		if !(x.value >= x.low && x.value <= x.high) {
			return fmt.Errorf("%w: the %s is %g, not %g to %g", ErrRequest, x.name, x.value, x.low, x.high)
		}
	}
	return nil
}

// Close ends what runs, whose callers get [ErrClosed], and lets go of the memory.
func (m *Model) Close() error { return m.close() }

package infer

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/selvage-dev/selvage/internal/infer/tokenizer"
)

// Options says how a model is run. The zero value is usable.
type Options struct {
	// Threads is how many processors are used at most; 0 is all that this
	// program has.
	Threads int
	// MaxTokens shortens the longest sequence that the model allows; 0 leaves it.
	MaxTokens int
	// BatchTokens is how many tokens of different texts run as one; 0 is 512.
	// One text may have more.
	BatchTokens int
	// QueueTokens is how many tokens may wait; beyond, callers get [ErrBusy].
	// 0 is a million.
	QueueTokens int
	// Normalize scales embeddings to the length 1.
	Normalize bool
	// Float32 leaves the weights as they are: slower, four times the memory.
	Float32 bool
}

func (o Options) withDefaults() Options {
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.BatchTokens <= 0 {
		o.BatchTokens = 512
	}
	if o.QueueTokens <= 0 {
		o.QueueTokens = 1 << 20
	}
	return o
}

// Pooling is how the hidden states of a text's tokens become one vector.
type Pooling string

const (
	// Mean is the average over all tokens.
	Mean Pooling = "mean"
	// CLS is the state of the first token.
	CLS Pooling = "cls"
)

// Info is what is known of an open model.
type Info struct {
	// Architecture is what config.json calls it, for instance "BertModel".
	Architecture string
	// Dimensions is the length of an embedding.
	Dimensions int
	// MaxTokens is the longest sequence, special tokens included. What is
	// longer is cut.
	MaxTokens int
	// Labels are the classes that the model's head tells apart; none without one.
	Labels []string
	// WeightBytes is the memory that the weights take: what is held, and what
	// is mapped.
	WeightBytes int64
	// Precision is what the layers' weights have: "int8" or "float32".
	Precision string
}

// Encoder is an open model. It is safe for concurrent use.
type Encoder struct {
	o         Options
	w         *weights
	tokens    *tokenizer.Tokenizer
	queue     *queue
	maxTokens int
	close     func() error
}

// OpenEncoder opens the model in dir: config.json, tokenizer.json and
// model.safetensors, or several such files with an index. Errors are
// [*OpenError]. The caller closes the model.
func OpenEncoder(dir string, o Options) (*Encoder, error) {
	e, err := openEncoder(dir, o.withDefaults())
	if err != nil {
		return nil, openError(dir, err)
	}
	return e, nil
}

func openEncoder(dir string, o Options) (*Encoder, error) {
	c, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	t, err := tokenizer.Open(filepath.Join(dir, "tokenizer.json"))
	if err != nil {
		return nil, err
	}
	if t.Vocabulary() > c.vocabulary {
		return nil, fmt.Errorf("%w: tokenizer.json has tokens up to %d, vocab_size is %d", errInvalid, t.Vocabulary(), c.vocabulary)
	}
	w, err := openWeights(dir, c, o)
	if err != nil {
		return nil, err
	}
	e := &Encoder{o: o, w: w, tokens: t, maxTokens: c.maxTokens(), queue: newQueue(w, o)}
	if o.MaxTokens > 0 {
		e.maxTokens = min(e.maxTokens, o.MaxTokens)
	}
	e.close = sync.OnceValue(func() error {
		e.queue.close()
		return w.close()
	})
	return e, nil
}

// Info describes the model.
func (e *Encoder) Info() Info {
	i := Info{
		Architecture: e.w.c.architecture, Dimensions: e.w.c.hidden, MaxTokens: e.maxTokens,
		Precision:   "int8",
		WeightBytes: int64(e.w.memory.Len()) + int64(e.w.words.Bytes()+e.w.positions.Bytes()),
	}
	if e.w.exact {
		i.Precision = "float32"
		for _, l := range e.w.layers {
			for _, m := range l.linears() {
				i.WeightBytes += int64(4 * len((*m).float))
			}
		}
	}
	if e.w.head != nil {
		i.Labels = append(i.Labels, e.w.c.labels...)
	}
	return i
}

// Embed returns a vector for each text, and how many tokens were read. Texts
// longer than the model allows are cut.
func (e *Encoder) Embed(ctx context.Context, texts []string, p Pooling) (vectors [][]float32, tokens int, err error) {
	if p != Mean && p != CLS {
		return nil, 0, fmt.Errorf("pooling is %q; it is mean or cls", p)
	}
	vectors = make([][]float32, len(texts))
	h := e.w.c.hidden
	tokens, err = e.run(ctx, e.encode(texts), func(i int, states []float32) {
		v := make([]float32, h)
		if p == CLS {
			copy(v, states[:h])
		} else {
			mean(v, states)
		}
		if e.o.Normalize {
			Normalize(v)
		}
		vectors[i] = v
	})
	if err != nil {
		return nil, 0, err
	}
	return vectors, tokens, nil
}

// Classify returns a share of one for each label of each text, or, of a model
// with one label, a probability; and how many tokens were read.
func (e *Encoder) Classify(ctx context.Context, texts []string) (scores [][]float32, tokens int, err error) {
	if e.w.head == nil {
		return nil, 0, ErrNoHead
	}
	scores = make([][]float32, len(texts))
	tokens, err = e.run(ctx, e.encode(texts), func(i int, states []float32) {
		scores[i] = softmax(e.w.head.logits(states[:e.w.c.hidden])[0])
	})
	if err != nil {
		return nil, 0, err
	}
	return scores, tokens, nil
}

// Rerank returns how well each text answers the query, as the model's head says
// it: any number, more is better. The model has one label.
func (e *Encoder) Rerank(ctx context.Context, query string, texts []string) (scores []float32, tokens int, err error) {
	if e.w.head == nil || e.w.head.labels != 1 {
		return nil, 0, ErrNoHead
	}
	scores = make([]float32, len(texts))
	seqs := make([]sequence, len(texts))
	for i, t := range texts {
		x := e.tokens.EncodePair(query, t, e.maxTokens)
		seqs[i] = sequence{ids: x.IDs, types: x.Types}
	}
	tokens, err = e.run(ctx, seqs, func(i int, states []float32) {
		scores[i] = e.w.head.logits(states[:e.w.c.hidden])[0][0]
	})
	if err != nil {
		return nil, 0, err
	}
	return scores, tokens, nil
}

func (e *Encoder) encode(texts []string) []sequence {
	seqs := make([]sequence, len(texts))
	for i, t := range texts {
		x := e.tokens.Encode(t, e.maxTokens)
		seqs[i] = sequence{ids: x.IDs, types: x.Types}
	}
	return seqs
}

// run calls sink with the hidden states of each sequence, from other
// goroutines, and returns when all were.
func (e *Encoder) run(ctx context.Context, seqs []sequence, sink func(i int, states []float32)) (tokens int, err error) {
	for i, q := range seqs {
		if len(q.ids) == 0 {
			return 0, fmt.Errorf("text %d has no tokens: %w", i, ErrEmpty)
		}
		tokens += len(q.ids)
	}
	if len(seqs) == 0 {
		return 0, nil
	}
	return tokens, e.queue.run(ctx, seqs, tokens, sink)
}

// Close waits for what runs, and lets go of the memory. Callers that still wait
// get [ErrClosed].
func (e *Encoder) Close() error { return e.close() }

// ErrEmpty is a text of which the tokenizer leaves nothing.
var ErrEmpty = errors.New("the text is empty")

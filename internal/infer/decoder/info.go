package decoder

// Options says how a model is run. The zero value is usable.
type Options struct {
	// Threads is how many processors are used at most; 0 is all that this
	// program has.
	Threads int
	// Context shortens the longest text, prompt and all, that the model allows;
	// 0 is what the model says, at most 32768.
	Context int
	// CacheBytes bounds the memory for keys and values of all texts; 0 is what one
	// text of the whole context takes, but 256 MiB at least and 1 GiB at most. It
	// is taken when it is needed. What does not hold a whole context shortens it.
	CacheBytes int64
	// Batch is how many texts are written at once; more wait. 0 is 32.
	Batch int
	// Queue is how many requests may wait to begin; beyond, they get [ErrBusy].
	// 0 is 1000.
	Queue int
}

// Info is what is known of an open model.
type Info struct {
	// Architecture is "llama", "mistral", "qwen2" or "qwen3".
	Architecture string
	// Name is what the file calls itself, or empty.
	Name string
	// Context is the longest text, prompt and all, in tokens.
	Context int
	// Vocabulary is how many tokens there are.
	Vocabulary int
	// Template is the chat template that the model came with, in the language
	// Jinja, or empty.
	Template string
	// BOS and EOS are the tokens that begin and end a text as a template writes
	// them, or empty.
	BOS, EOS string
	// WeightBytes is the memory that the weights take, mapped or held.
	WeightBytes int64
	// CacheBytes bounds what keys and values take.
	CacheBytes int64
}

// Package decoder runs models that write text: the Llama, Mistral and Qwen
// families, from a GGUF file or from a folder as Hugging Face lays it out. It
// knows tokens and weights. Chat templates, tools, JSON schemas and who asks are
// matters of its callers: they make the prompt, and constrain what is written
// by a [Mask].
//
// # Scheduling
//
// One goroutine owns the model and runs it step by step. A step takes the next
// token of every text that is being written, and beside them a part of the
// prompts that are still to be read, as one batch: reading the weights is what
// costs, and they are read once for all. Helpers share the work of a step.
// Requests join and leave between any two steps; one whose context ends, or
// whose emit fails, takes part in no further step.
//
// # Memory
//
// Quantised weights are used where they lie in the mapped file. Weights of 16 or
// 32 bits are quantised to 8 bits, in blocks of 32, when the model is opened.
// Keys and values are kept as 16-bit floats, in blocks of 32 tokens from a pool
// whose size is bounded ([Options.CacheBytes]). A request begins when the blocks
// that it may need at most are free, in order of arrival, so that none that has
// begun ever waits for memory. Full blocks are kept after their request, the
// longest unused goes first, and another prompt that begins with the same tokens
// takes them as they are: a system prompt is read once.
package decoder

package decoder

// Request asks for text that goes on from a prompt.
type Request struct {
	// Prompt is the tokens to go on from; at least one. See [Model.Tokens].
	Prompt []int32
	// MaxTokens is how many tokens are written at most, > 0. It is cut to what
	// the context leaves beside the prompt.
	MaxTokens int
	Sampler   Sampler
	// Stop ends the text where one of these strings appears. The string is not
	// part of the text, and no piece of it is emitted.
	Stop []string
	// Mask, if not nil, says before each token which may come.
	Mask Mask

	watch func(logits []float32) // sees what the model thinks, before penalties and mask
}

// Sampler is how the next token is chosen from what the model thinks of each.
// The zero value takes the most likely one. The order is: penalties, mask,
// TopK, temperature, TopP, chance.
type Sampler struct {
	// Temperature divides the logits; 0 takes the most likely token.
	Temperature float64
	// TopP keeps the most likely tokens that together have this probability; 0
	// or 1 keeps all.
	TopP float64
	// TopK keeps so many of the most likely tokens; 0 keeps all.
	TopK int
	// Seed makes the choice repeatable: the same request, alone, gives the same
	// text. Beside others the order of sums changes, and with it the last bits of
	// logits, which may tip a choice.
	Seed uint64
	// Repetition divides the logits of tokens that are in the prompt or the text,
	// if they are positive, and multiplies negative ones; 0 or 1 for none.
	Repetition float64
	// Frequency is taken from a token's logit for each time that it was written.
	Frequency float64
	// Presence is taken from the logit of each token that was written.
	Presence float64
}

// Mask constrains what is written, for instance to what a grammar allows. Its
// methods are called by one goroutine at a time, in turn: Allowed, Accept,
// Allowed, … It holds up the texts beside it, so it is quick.
type Mask interface {
	// Allowed puts into set, which is empty, the tokens that may come next.
	// Tokens that end the text ([Model.Ends]) are to be put in where the text may
	// end. A set that stays empty ends the text with [FinishMask].
	Allowed(set TokenSet)
	// Accept says that the token was taken, unless it ends the text. An error ends
	// the request with it.
	Accept(token int32) error
}

// TokenSet is a set of tokens: a bit for each of the vocabulary.
type TokenSet []uint64

// Add puts a token into the set.
func (s TokenSet) Add(token int32) { s[token>>6] |= 1 << (token & 63) }

// Has reports whether a token is in the set.
func (s TokenSet) Has(token int32) bool { return s[token>>6]>>(token&63)&1 != 0 }

// Finish is why a text ended.
type Finish string

const (
	// FinishStop is a token that ends texts, or a stop string.
	FinishStop Finish = "stop"
	// FinishLength is [Request.MaxTokens], or the end of the context.
	FinishLength Finish = "length"
	// FinishMask is a [Mask] that allowed no token.
	FinishMask Finish = "mask"
)

// Piece is a part of a text. The text is always whole characters: what a model
// writes that is not UTF-8 becomes U+FFFD.
type Piece struct {
	Text string
	// Tokens is how many tokens were written since the last piece; some give no
	// text yet.
	Tokens int
}

// Result is what a request came to.
type Result struct {
	Finish Finish
	// Prompt and Completion count tokens. One that ends the text counts.
	Prompt, Completion int
	// Cached is how many tokens of the prompt were not read again.
	Cached int
}

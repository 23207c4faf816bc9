package decoder

import (
	"github.com/selvage-dev/selvage/internal/infer/blocks"
	"github.com/selvage-dev/selvage/internal/infer/tokenizer"
)

// role is what a tensor is for.
type role int

const (
	embeddings role = iota
	outputNorm
	output
	attentionNorm
	query
	key
	value
	attentionOutput
	queryNorm
	keyNorm
	feedNorm
	gate
	up
	down
)

// raw is a tensor as a file has it: rows of numbers.
type raw struct {
	t    blocks.Type
	data []byte
}

// source is a file, or files, with a model.
type source interface {
	// matrix returns a tensor of rows of in numbers.
	matrix(r role, layer, in, out int) (raw, error)
	// vector returns numbers; bias is what is added to a matrix's products.
	vector(r role, layer, n int, bias bool) ([]float32, error)
	has(r role, layer int, bias bool) bool
	config() (*config, error)
	words() (*words, error)
	bytes() int64
	close() error
}

// words is what a model knows of text.
type words struct {
	tokens   *tokenizer.Tokenizer
	template string
	name     string
	// bos and eos are -1 where there are none.
	bos, eos int32
	// ends are all tokens that end a text.
	ends []int32
}

// suffix is how a tensor's name ends.
func suffix(bias bool) string { //nolint:revive // two kinds of tensor
	if bias {
		return ".bias"
	}
	return ".weight"
}

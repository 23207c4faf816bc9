package local

import (
	"context"

	"github.com/selvage-dev/selvage/internal/infer/decoder"
)

// Decoder is what this package needs of a model that writes text.
type Decoder interface {
	Info() decoder.Info
	// Tokens returns the tokens of text, at most limit of them, or all if limit is
	// 0. Special tokens are found in it only if asked for: those of a chat template
	// are, what a user wrote is text whatever it looks like. None are added.
	Tokens(text string, special bool, limit int) []int32
	// TokenBytes is what a token adds to a text; nothing for special tokens.
	TokenBytes(token int32) []byte
	// Ends reports whether a token ends a text.
	Ends(token int32) bool
	// Generate writes, and calls emit with each piece from the caller's goroutine. An error
	// of emit, or the end of ctx, stops the work within one token, and is returned.
	// The result is valid with an error too: it counts what was done until then.
	Generate(ctx context.Context, r *decoder.Request, emit func(decoder.Piece) error) (decoder.Result, error)
	Close() error
}

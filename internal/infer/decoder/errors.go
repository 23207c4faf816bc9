package decoder

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/selvage-dev/selvage/internal/infer/gguf"
	"github.com/selvage-dev/selvage/internal/infer/safetensors"
	"github.com/selvage-dev/selvage/internal/infer/tokenizer"
)

var (
	// ErrClosed is what a closed model answers.
	ErrClosed = errors.New("the model is closed")
	// ErrBusy is what a caller gets when too many wait already.
	ErrBusy = errors.New("too many requests wait for this model")
	// ErrNumbers is a model whose results are no numbers: its weights are damaged.
	ErrNumbers = errors.New("what the model computes is not a number: its weights are damaged")
	// ErrRequest marks a request that this model cannot run; the message says why.
	ErrRequest = errors.New("bad request")
)

// TooLongError is a prompt that the context has no room for. It is an
// [ErrRequest].
type TooLongError struct{ Prompt, Context int }

func (e *TooLongError) Error() string {
	return fmt.Sprintf("the prompt has %d tokens; the model's context is %d, of which one is for the answer", e.Prompt, e.Context)
}

// Is makes the error an [ErrRequest].
func (*TooLongError) Is(target error) bool { return target == ErrRequest }

// Reason says why a model cannot be opened.
type Reason string

const (
	// Missing is a file or a tensor that is not there.
	Missing Reason = "missing"
	// Invalid is what breaks its format or contradicts its configuration.
	Invalid Reason = "invalid"
	// Unsupported is a well-formed model that this package cannot run.
	Unsupported Reason = "unsupported"
	// Failed is an error of the system.
	Failed Reason = "failed"
)

// OpenError is why a model cannot be opened.
type OpenError struct {
	Path   string
	Reason Reason
	Err    error
}

func (e *OpenError) Error() string { return fmt.Sprintf("model %s: %s: %v", e.Path, e.Reason, e.Err) }

func (e *OpenError) Unwrap() error { return e.Err }

func openError(path string, err error) *OpenError {
	is := func(targets ...error) bool {
		return slices.ContainsFunc(targets, func(t error) bool { return errors.Is(err, t) })
	}
	r := Failed
	switch {
	case is(safetensors.ErrMissing, gguf.ErrMissing, fs.ErrNotExist):
		r = Missing
	case is(safetensors.ErrInvalid, gguf.ErrInvalid, tokenizer.ErrInvalid, errInvalid):
		r = Invalid
	case is(gguf.ErrUnsupported, tokenizer.ErrUnsupported, errUnsupported):
		r = Unsupported
	}
	return &OpenError{Path: path, Reason: r, Err: err}
}

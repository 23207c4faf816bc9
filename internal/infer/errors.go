package infer

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/selvage-dev/selvage/internal/infer/safetensors"
	"github.com/selvage-dev/selvage/internal/infer/tokenizer"
)

var (
	// ErrClosed is what a closed model answers.
	ErrClosed = errors.New("the model is closed")
	// ErrNoHead is a question that a model has no head for: classes of an
	// embedding model, a score of one that has several labels.
	ErrNoHead = errors.New("the model has no head for this")
)

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
	Dir    string
	Reason Reason
	Err    error
}

func (e *OpenError) Error() string {
	return fmt.Sprintf("model %s: %s: %v", e.Dir, e.Reason, e.Err)
}

func (e *OpenError) Unwrap() error { return e.Err }

// errInvalid and errUnsupported mark errors of a configuration.
var (
	errInvalid     = errors.New("invalid configuration")
	errUnsupported = errors.New("unsupported configuration")
)

func openError(dir string, err error) *OpenError {
	r := Failed
	switch {
	case errors.Is(err, safetensors.ErrMissing), errors.Is(err, fs.ErrNotExist):
		r = Missing
	case errors.Is(err, safetensors.ErrInvalid), errors.Is(err, tokenizer.ErrInvalid), errors.Is(err, errInvalid):
		r = Invalid
	case errors.Is(err, tokenizer.ErrUnsupported), errors.Is(err, errUnsupported):
		r = Unsupported
	}
	return &OpenError{Dir: dir, Reason: r, Err: err}
}

package decoder

import (
	"errors"
	"fmt"
)

var (
	// ErrClosed is what a closed model answers.
	ErrClosed = errors.New("the model is closed")
	// ErrBusy is what a caller gets when too many wait already.
	ErrBusy = errors.New("too many requests wait for this model")
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

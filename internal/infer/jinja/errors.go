package jinja

import (
	"errors"
	"fmt"
)

// ErrLimit is in the chain of an error of a template that spends more than it may.
var ErrLimit = errors.New("jinja: the template spends more than it may")

// SyntaxError says what of a template cannot be read.
type SyntaxError struct {
	Line   int
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("jinja: line %d of the template: %s", e.Line, e.Reason)
}

// RunError says why a template stopped.
type RunError struct {
	Line   int
	Reason string
	// Raised says that the template itself refused what it was given, with
	// raise_exception: Reason is its text.
	Raised bool
	Err    error // [ErrLimit], or nil
}

func (e *RunError) Error() string {
	return fmt.Sprintf("jinja: line %d of the template: %s", e.Line, e.Reason)
}

func (e *RunError) Unwrap() error { return e.Err }

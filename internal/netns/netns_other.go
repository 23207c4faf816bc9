//go:build !linux

package netns

import (
	"errors"
	"os"
)

// NS is one network namespace, which only Linux has.
type NS struct{}

// At fails with [errors.ErrUnsupported].
func At(string) (*NS, error) { return nil, errors.ErrUnsupported }

// Own fails with [errors.ErrUnsupported].
func Own() (*NS, error) { return nil, errors.ErrUnsupported }

// Of fails with [errors.ErrUnsupported].
func Of(int) (*NS, error) { return nil, errors.ErrUnsupported }

// Same is false.
func (*NS) Same(*NS) bool { return false }

// File is nil.
func (*NS) File() *os.File { return nil }

// Close does nothing.
func (*NS) Close() error { return nil }

// Do fails with [errors.ErrUnsupported].
func (*NS) Do(func() error) error { return errors.ErrUnsupported }

//go:build !linux

package imagefs

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Options of [Unpack].
type Options struct {
	Shift      int
	MaxBytes   int64
	MaxEntries int
}

// Result is what a layer was.
type Result struct {
	DiffID  string
	Bytes   int64
	Entries int
}

// Unpack fails with [errors.ErrUnsupported]: what it makes is for overlayfs, which only
// Linux has.
func Unpack(context.Context, string, io.Reader, Options) (Result, error) {
	return Result{}, fmt.Errorf("imagefs: %w", errors.ErrUnsupported)
}

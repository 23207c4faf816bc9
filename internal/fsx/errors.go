package fsx

import (
	"crypto/rand"
	"errors"
	"fmt"
	"syscall"
)

// Kinds of failure that deserve a clear line to the operator; test for them
// with errors.Is.
var (
	// ErrNoSpace: the file system, or the user's quota on it, is full.
	ErrNoSpace = errors.New("no space left on the file system")
	// ErrReadOnly: the file system is mounted read-only.
	ErrReadOnly = errors.New("the file system is read-only")
	// ErrLocked: another process holds the lock; the error is a [*LockedError].
	ErrLocked = errors.New("locked by another process")

	errNotDir = syscall.ENOTDIR
)

// Error is a failed step of this package. It unwraps to its Kind, if it has
// one, and to its cause.
type Error struct {
	Op   Op
	Path string
	Kind error // ErrNoSpace, ErrReadOnly or nil
	Err  error
}

// NewError returns err as an [*Error], its kind found by the errno inside; nil
// for nil. It is for tools that write by other means, as a database does.
func NewError(op Op, path string, err error) error { return wrap(op, path, err) }

// Error says what failed and, where it is known, what to do.
func (e *Error) Error() string {
	switch {
	case errors.Is(e.Kind, ErrNoSpace):
		return fmt.Sprintf("%s %s: %v: free some space there or move the data to a larger file system", e.Op, e.Path, ErrNoSpace)
	case errors.Is(e.Kind, ErrReadOnly):
		return fmt.Sprintf("%s %s: %v: mount it writable or choose another folder", e.Op, e.Path, ErrReadOnly)
	default:
		return fmt.Sprintf("%s %s: %v", e.Op, e.Path, cause(e.Err))
	}
}

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Kind == nil {
		return []error{e.Err}
	}
	return []error{e.Kind, e.Err}
}

// LockedError says who holds a lock; it matches [ErrLocked].
type LockedError struct {
	Path string
	PID  int // 0 when the lock file does not say
}

// Error names the file and the process.
func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("%s is locked by another process", e.Path)
	}
	return fmt.Sprintf("%s is locked by process %d", e.Path, e.PID)
}

// Is makes the error match [ErrLocked].
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// wrap returns err as an *Error with its kind; nil for nil, and an *Error as it is.
func wrap(op Op, path string, err error) error {
	if err == nil {
		return nil
	}
	if _, already := errors.AsType[*Error](err); already {
		return err
	}
	return &Error{Op: op, Path: path, Kind: kind(err), Err: err}
}

func kind(err error) error {
	switch {
	case errors.Is(err, ErrNoSpace), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return ErrNoSpace
	case errors.Is(err, ErrReadOnly), errors.Is(err, syscall.EROFS):
		return ErrReadOnly
	default:
		return nil
	}
}

// cause strips the operation and path that the standard library put before an
// errno, since Error says them already.
func cause(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}

func randomName() string { return rand.Text()[:16] }

package ann

import (
	"errors"
	"fmt"
)

// ErrClosed is the error of a call to a segment that was closed.
var ErrClosed = errors.New("ann: the segment is closed")

// CorruptError says that a segment's file is not what was written: a checksum
// does not fit, or the file is cut short or unreadable. The segment is to be
// rebuilt from elsewhere.
type CorruptError struct {
	Path   string // file
	Part   string // what of it
	Reason string
	Err    error // cause, may be nil
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s: %s: %s: rebuild this segment or restore it from a backup", e.Path, e.Part, e.Reason)
}

func (e *CorruptError) Unwrap() error { return e.Err }

// VectorError says why a vector is refused.
type VectorError struct {
	Row    int // among those given in one call, from 0
	Reason string
}

func (e *VectorError) Error() string { return fmt.Sprintf("vector %d: %s", e.Row, e.Reason) }

// atRow names the row in a VectorError.
func atRow(err error, row int) error {
	if bad, ok := errors.AsType[*VectorError](err); ok {
		bad.Row = row
	}
	return err
}

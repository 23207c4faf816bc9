package history

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrDamaged is for a file of a history whose checksum is wrong or which ends early.
	ErrDamaged = errors.New("a file of the history is damaged")
	// The disk failed to sync records, so that nobody knows which of them are on it.
	errUnsynced = errors.New("records could not be synced")
	// The write-ahead log began anew before all of it was recorded: another process made
	// it so.
	errLost = errors.New("history: the log was emptied from outside before it was recorded")
)

// RangeError says that no state of that transaction or time can be had.
type RangeError struct {
	ID       TXID      // what was asked for, or
	At       time.Time // when
	From, To time.Time // what there is
	Gap      bool      // it is between them, and lost
}

func (e *RangeError) Error() string {
	const layout = "2006-01-02T15:04:05.000Z"
	what := "That state"
	if !e.At.IsZero() {
		what = "The state at " + e.At.UTC().Format(layout)
	}
	if e.Gap {
		return what + " was not recorded: another process changed the database's file at that time."
	}
	return fmt.Sprintf("%s is not in the history, which goes from %s to %s.", what, e.From.UTC().Format(layout), e.To.UTC().Format(layout))
}

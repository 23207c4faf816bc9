// Package pause waits between one try and the next.
package pause

import (
	"context"
	"time"
)

// For waits for a time, or until ctx ends, whose cause is then the error.
func For(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

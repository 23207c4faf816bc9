package history

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"time"
)

// Folder returns where the recorded files are. The caller calls done when it needs
// them no more: until then none is removed.
func (r *Recorder) Folder() (src *Folder, done func()) {
	r.using.RLock()
	return r.folder, r.using.RUnlock
}

// At returns the last transaction at that time or before.
func (r *Recorder) At(ctx context.Context, at time.Time) (TXID, error) {
	src, done := r.Folder()
	defer done()
	if oldest := time.Now().Add(-r.o.Retention); at.Before(oldest) {
		return 0, &RangeError{At: at, From: oldest, To: time.Now()}
	}
	return At(ctx, src, at)
}

// Materialise writes the state after transaction id into out.
func (r *Recorder) Materialise(ctx context.Context, id TXID, out *os.File) error {
	src, done := r.Folder()
	defer done()
	return Materialise(ctx, src, id, out, nil)
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context //nolint:containedctx // of one call
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, fmt.Errorf("history: %w", err)
	}
	return c.r.Read(p)
}

// sized reads in steps that suit pages.
func sized(ctx context.Context, r io.Reader) io.Reader {
	return bufio.NewReaderSize(contextReader{ctx, r}, 256<<10)
}

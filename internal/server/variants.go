package server

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/store"
)

// maxPending bounds the encodings that wait to be made; further ones are asked
// for again by a later request.
const maxPending = 1024

// notSmaller stands in the table where an encoding saves nothing.
const notSmaller = "identity"

// variants gives the contents of assets from the store, with their
// precompressed forms: made once, one at a time in the background, and kept. It
// implements assets.Files.
type variants struct {
	store *store.Store
	log   *slog.Logger

	mu      sync.Mutex
	pending map[variantKey]bool
	closed  bool
	queue   chan variantKey
	stop    context.CancelFunc
	done    chan struct{}
}

type variantKey struct{ blob, encoding string }

// newVariants starts the background work. The caller ends it with close,
// before it closes the store.
func newVariants(st *store.Store, log *slog.Logger) *variants {
	ctx, stop := context.WithCancel(context.Background())
	v := &variants{
		store: st, log: log, stop: stop,
		pending: make(map[variantKey]bool),
		queue:   make(chan variantKey, maxPending),
		done:    make(chan struct{}),
	}
	go v.work(ctx)
	return v
}

// Open implements assets.Files.
func (v *variants) Open(blob string) (*os.File, error) { return v.store.Blobs.Open(blob) }

// Variant implements assets.Files.
func (v *variants) Variant(ctx context.Context, blob, encoding string) (id string, size int64, ok bool) {
	err := v.store.DB.Read().QueryRowContext(ctx,
		"SELECT variant_id, size FROM blob_variants WHERE blob_id = ? AND encoding = ?", blob, encoding).Scan(&id, &size)
	switch {
	case err == nil && id == notSmaller:
		return "", 0, false
	case err == nil && v.store.Blobs.Has(id):
		return id, size, true
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		v.log.WarnContext(ctx, "cannot look up a compressed asset; it is served as it is", "blob", blob, "encoding", encoding, "error", err)
		return "", 0, false
	}
	v.enqueue(variantKey{blob, encoding})
	return "", 0, false
}

func (v *variants) enqueue(k variantKey) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed || v.pending[k] {
		return
	}
	select {
	case v.queue <- k:
		v.pending[k] = true
	default:
	}
}

// close ends the background work; what was not made is asked for again after
// the next start.
func (v *variants) close() error {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	v.stop()
	<-v.done
	return nil
}

func (v *variants) work(ctx context.Context) {
	defer close(v.done)
	for {
		select {
		case <-ctx.Done():
			return
		case k := <-v.queue:
			if err := v.make(ctx, k); err != nil && ctx.Err() == nil {
				v.log.WarnContext(ctx, "cannot compress an asset; it is served as it is", "blob", k.blob, "encoding", k.encoding, "error", err)
			}
			v.mu.Lock()
			delete(v.pending, k)
			v.mu.Unlock()
		}
	}
}

// make compresses a blob and records the result, the blob first: a row never
// names what is not there.
func (v *variants) make(ctx context.Context, k variantKey) (err error) {
	f, err := v.store.Blobs.Open(k.blob)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("look at the blob: %w", err)
	}
	id, size, err := v.compress(ctx, k.encoding, f, info.Size()-1)
	if errors.Is(err, store.ErrTooLarge) {
		id, size, err = notSmaller, 0, nil
	}
	if err != nil {
		return err
	}
	return v.store.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO blob_variants (blob_id, encoding, variant_id, size) VALUES (?, ?, ?, ?)",
			k.blob, k.encoding, id, size)
		return err
	})
}

// compress stores r encoded; the error is store.ErrTooLarge beyond limit bytes.
func (v *variants) compress(ctx context.Context, encoding string, r io.Reader, limit int64) (id string, size int64, err error) {
	if limit <= 0 {
		return "", 0, store.ErrTooLarge
	}
	in, out := io.Pipe()
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		out.CloseWithError(assets.Compress(ctx, encoding, r, out))
	}()
	id, size, err = v.store.Blobs.Put(ctx, in, limit)
	in.CloseWithError(io.ErrClosedPipe) // ends Compress when Put wanted no more
	<-finished
	return id, size, err
}

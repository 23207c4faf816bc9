package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// Errors of [Blobs].
var (
	// ErrNotFound: there is no blob of that id.
	ErrNotFound = errors.New("store: no such blob")
	// ErrTooLarge: the content is larger than the caller allows.
	ErrTooLarge = errors.New("store: content is too large")
)

const (
	blobIDLen     = 2 * sha256.Size
	copyBufferLen = 128 << 10
)

// Blobs keeps content by its SHA-256 in lower-case hex. Blobs are immutable.
// All methods are safe for concurrent use.
type Blobs struct {
	fs  fsx.FS
	dir string
	tmp string

	// sweep lets a Sweep look at a file's age and remove it with no Put of the
	// same content in between. Puts hold it for reading.
	sweep sync.RWMutex
}

func openBlobs(fs fsx.FS, dir string) (*Blobs, error) {
	b := &Blobs{fs: fs, dir: dir, tmp: filepath.Join(dir, "tmp")}
	if err := fs.MkdirAll(b.tmp, 0o700); err != nil {
		return nil, fmt.Errorf("store: blob folder: %w", err)
	}
	// Whatever lies there is of a process that is no more: we have the lock.
	left, err := os.ReadDir(b.tmp)
	if err != nil {
		return nil, fmt.Errorf("store: interrupted uploads: %w", err)
	}
	for _, e := range left {
		if err := fs.Remove(filepath.Join(b.tmp, e.Name())); err != nil {
			return nil, fmt.Errorf("store: interrupted uploads: %w", err)
		}
	}
	return b, nil
}

// Put stores what r has, up to limit bytes, and returns its id and size in bytes
// once it is synced. Content that is there already is kept, its age for Sweep
// starting anew. With more than limit bytes the error is [ErrTooLarge]. A failed
// Put leaves nothing.
func (b *Blobs) Put(ctx context.Context, r io.Reader, limit int64) (id string, size int64, err error) {
	f, err := b.fs.CreateTemp(b.tmp, "put")
	if err != nil {
		return "", 0, fmt.Errorf("store: put blob: %w", err)
	}
	hash := sha256.New()
	// One byte more than allowed, to tell "too large" from "just fits".
	limited := io.LimitReader(&contextReader{ctx: ctx, r: r}, min(limit, math.MaxInt64-1)+1)
	size, err = io.CopyBuffer(io.MultiWriter(hash, b.fs.Writer(f)), limited, make([]byte, copyBufferLen))
	if err == nil && size > limit {
		err = fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	if err != nil {
		return "", 0, errors.Join(fmt.Errorf("store: put blob: %w", err), b.fs.Discard(f))
	}
	id = hex.EncodeToString(hash.Sum(nil))
	if err := b.keep(f, id, size); err != nil {
		return "", 0, fmt.Errorf("store: put blob %s: %w", id, err)
	}
	return id, size, nil
}

// Adopt makes the file f, which was written on the same file system and whose
// content the caller has hashed to id, the blob of that id: it is synced, moved and
// closed. When the content is there already the file is removed instead. After an
// error it is closed, and left or gone.
func (b *Blobs) Adopt(f *os.File, id string, size int64) error {
	if !validBlobID(id) {
		return errors.Join(fmt.Errorf("store: adopt blob: %.80q is no blob id", id), f.Close())
	}
	if err := b.keep(f, id, size); err != nil {
		return fmt.Errorf("store: adopt blob %s: %w", id, err)
	}
	return nil
}

// keep moves the temporary file to its place, or drops it when the content is
// there.
func (b *Blobs) keep(f *os.File, id string, size int64) error {
	path := b.Path(id)
	if err := b.fs.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return errors.Join(err, b.fs.Discard(f))
	}
	b.sweep.RLock()
	defer b.sweep.RUnlock()
	// A file of another size is damaged: it is replaced.
	if info, err := os.Stat(path); err != nil || info.Size() != size {
		return b.fs.Commit(f, path)
	}
	now := time.Now()
	if err := errors.Join(b.fs.Discard(f), os.Chtimes(path, now, now)); err != nil {
		return err
	}
	// Whoever put it first may not have synced the folder yet.
	return b.fs.SyncDir(filepath.Dir(path))
}

// Open opens a blob for reading; the caller closes it. The error is
// [ErrNotFound] when there is none, which holds for anything that is no id.
func (b *Blobs) Open(id string) (*os.File, error) {
	if !validBlobID(id) {
		return nil, fmt.Errorf("%w: %.80q is no blob id", ErrNotFound, id)
	}
	f, err := os.Open(b.Path(id))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	if err != nil {
		return nil, fmt.Errorf("store: open blob: %w", err)
	}
	return f, nil
}

// Path returns where the blob of that id is or would be; "" for anything that
// is no id.
func (b *Blobs) Path(id string) string {
	if !validBlobID(id) {
		return ""
	}
	return filepath.Join(b.dir, id[:2], id)
}

// Has says whether the blob is there.
func (b *Blobs) Has(id string) bool {
	if !validBlobID(id) {
		return false
	}
	_, err := os.Stat(b.Path(id))
	return err == nil
}

// Touch starts the blob's age for Sweep anew; ok is false when there is none.
// After it a Sweep that is under way leaves the blob alone too.
func (b *Blobs) Touch(id string) (ok bool, err error) {
	if !validBlobID(id) {
		return false, nil
	}
	b.sweep.RLock()
	defer b.sweep.RUnlock()
	now := time.Now()
	err = os.Chtimes(b.Path(id), now, now)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("store: touch blob: %w", err)
	}
	return true, nil
}

// Delete removes a blob. That there is none is no error.
func (b *Blobs) Delete(id string) error {
	if !validBlobID(id) {
		return nil
	}
	if err := b.fs.Remove(b.Path(id)); err != nil {
		return fmt.Errorf("store: delete blob: %w", err)
	}
	return nil
}

// Sweep removes every blob that keep does not want and that was last put longer
// than olderThan ago. That age protects content whose row is not committed yet,
// so it must exceed the time from the first Put of an upload to its end.
func (b *Blobs) Sweep(ctx context.Context, keep func(id string) bool, olderThan time.Duration) (removed int, err error) {
	before := time.Now().Add(-olderThan)
	shards, err := os.ReadDir(b.dir)
	if err != nil {
		return 0, fmt.Errorf("store: sweep blobs: %w", err)
	}
	for _, shard := range shards {
		if len(shard.Name()) != 2 || !shard.IsDir() {
			continue
		}
		entries, err := os.ReadDir(filepath.Join(b.dir, shard.Name()))
		if err != nil {
			return removed, fmt.Errorf("store: sweep blobs: %w", err)
		}
		for _, e := range entries {
			if err := context.Cause(ctx); err != nil {
				return removed, fmt.Errorf("store: sweep blobs: %w", err)
			}
			if !validBlobID(e.Name()) || keep(e.Name()) {
				continue
			}
			gone, err := b.removeOld(e.Name(), before)
			if err != nil {
				return removed, fmt.Errorf("store: sweep blobs: %w", err)
			}
			if gone {
				removed++
			}
		}
	}
	return removed, nil
}

// removeOld removes the blob if nobody put it since before.
func (b *Blobs) removeOld(id string, before time.Time) (bool, error) {
	b.sweep.Lock()
	defer b.sweep.Unlock()
	info, err := os.Stat(b.Path(id))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !info.ModTime().Before(before) {
		return false, nil
	}
	return true, b.fs.Remove(b.Path(id))
}

// validBlobID holds for exactly the names that Put makes, so that an id never
// leads out of the folder.
func validBlobID(id string) bool {
	if len(id) != blobIDLen {
		return false
	}
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// contextReader ends a copy when its context does.
type contextReader struct {
	ctx context.Context //nolint:containedctx // lives for one Put
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

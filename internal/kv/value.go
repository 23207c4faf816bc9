package kv

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// InlineSize is up to how many bytes a value lives in its row, where its sync is
// shared with other puts. A larger one is a file, which is written once and not
// twice (log and database), but synced alone. Measured with eight writers, a row
// is four times as fast as a file at 1 KiB and three at 32 KiB; the two are even
// from 64 to 128 KiB, and at 256 KiB the file is faster. See BenchmarkPutSizes.
const InlineSize = 64 << 10

// Value is a value on its way into a namespace, made by Stage. It is used by one
// Put, or given up with Discard.
type Value struct {
	inline []byte
	file   string // name below the namespace's folder of values; "" when inline
	size   int64
	space  *space
}

// Size is the value's length in bytes.
func (v *Value) Size() int64 { return v.size }

// Discard gives up a value that no Put took. After a Put it does nothing.
func (v *Value) Discard() {
	if v.file != "" {
		v.space.removeFile(v.file)
		v.file = ""
	}
}

// Stage reads a value to its end. The length is its size when it is known, else -1.
// A value beyond the limit is refused with CodeTooLarge, unread if its length
// says so. Everything of it that is not small is on disk when Stage returns.
func (s *Service) Stage(ctx context.Context, account, namespace string, r io.Reader, length int64) (*Value, error) {
	if length > MaxValueSize {
		return nil, valueTooLarge(length)
	}
	sp, release, err := s.acquire(ctx, account, namespace)
	if err != nil {
		return nil, err
	}
	defer release()
	v, err := sp.stage(r, length)
	if err != nil {
		return nil, stageError(err)
	}
	return v, nil
}

// stageError tells a sender that broke off from a disk that failed.
func stageError(err error) error {
	var own *Error
	var disk *fsx.Error
	switch {
	case errors.As(err, &own), errors.Is(err, fsx.ErrNoSpace):
		return err
	case errors.As(err, &disk):
		return internal("store the value", err)
	}
	return err
}

func (sp *space) stage(r io.Reader, length int64) (*Value, error) {
	if length >= 0 && length <= sp.inlineSize {
		buf := make([]byte, length)
		if _, err := io.ReadFull(r, buf); err != nil {
			return nil, err
		}
		return &Value{inline: buf, size: length, space: sp}, nil
	}
	// Not io.ReadFull, which does not tell a sender that ends from one that broke off.
	head, err := io.ReadAll(io.LimitReader(r, sp.inlineSize+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(head)) <= sp.inlineSize && length >= 0:
		return nil, io.ErrUnexpectedEOF
	case int64(len(head)) <= sp.inlineSize:
		return &Value{inline: head, size: int64(len(head)), space: sp}, nil
	}
	v, err := sp.stageFile(head, r)
	if err == nil && length >= 0 && v.size != length {
		v.Discard()
		return nil, io.ErrUnexpectedEOF
	}
	return v, err
}

func (sp *space) stageFile(head []byte, rest io.Reader) (*Value, error) {
	if err := sp.fs.MkdirAll(sp.values, 0o700); err != nil {
		return nil, err
	}
	f, err := sp.fs.CreateTemp(sp.values, "put")
	if err != nil {
		return nil, err
	}
	w := sp.fs.Writer(f)
	size := int64(len(head))
	if _, err = w.Write(head); err == nil {
		var n int64
		// One byte more than allowed, to tell "too large" from "just fits".
		n, err = io.Copy(w, io.LimitReader(rest, MaxValueSize+1-size))
		size += n
	}
	if err == nil && size > MaxValueSize {
		// How much more there is can be told only by reading it.
		more, _ := io.Copy(io.Discard, io.LimitReader(rest, MaxValueSize))
		err = valueTooLarge(size + more)
	}
	if err != nil {
		return nil, errors.Join(err, sp.fs.Discard(f))
	}
	name := valueName()
	if err := sp.fs.Commit(f, filepath.Join(sp.values, name)); err != nil {
		return nil, err
	}
	return &Value{file: name, size: size, space: sp}, nil
}

// valueName returns a name that was never used: the content of a name never
// changes, so a reader who learnt it from a row reads that row's value or none.
func valueName() string {
	id := uuid.New()
	const digits = "0123456789abcdef"
	b := make([]byte, 0, 2*len(id))
	for _, c := range id {
		b = append(b, digits[c>>4], digits[c&15])
	}
	return string(b)
}

func isValueName(name string) bool {
	if len(name) != 32 {
		return false
	}
	for i := range len(name) {
		if c := name[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func (sp *space) openFile(name string) (*os.File, error) {
	return os.Open(filepath.Join(sp.values, name)) //nolint:gosec // a name of valueName
}

// removeFile removes a file that no row names any more. Should it fail, Sweep
// finds it.
func (sp *space) removeFile(name string) {
	if err := sp.fs.Remove(filepath.Join(sp.values, name)); err != nil {
		sp.log.Warn("a KV value's file could not be removed; the sweep tries again", "namespace", sp.id, "error", err)
	}
}

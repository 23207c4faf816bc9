package d1

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/selvage-dev/selvage/internal/history"
	"github.com/selvage-dev/selvage/internal/sqlite/native"
)

// MaxRestoreSize bounds a database that is put in the place of another, in bytes.
const MaxRestoreSize = 64 << 30

// Backup names a state and the files from which it can be made.
type Backup struct {
	Bookmark string
	ID       history.TXID
	Files    []history.File
}

// Backup lists what a copy of the state now needs.
func (d *Database) Backup(ctx context.Context) (Backup, error) {
	if d.history == nil {
		return Backup{}, errNoTimeTravel
	}
	if err := d.recorded(ctx); err != nil {
		return Backup{}, err
	}
	src, done := d.history.Folder()
	defer done()
	id := d.history.Last()
	files, err := history.Needed(ctx, src, id)
	if err != nil {
		return Backup{}, travelError(err)
	}
	return Backup{Bookmark: position{id: id}.bookmark(d.id), ID: id, Files: files}, nil
}

// OpenHistory opens a file that Backup listed, of that size. The caller closes it.
func (d *Database) OpenHistory(ctx context.Context, name string, size int64) (io.ReadCloser, error) {
	if d.history == nil {
		return nil, errNoTimeTravel
	}
	f, ok := history.ParseName(name)
	if !ok || size <= 0 {
		return nil, fail(CodeInvalid, "%q is no file of a history, or %d not its size.", clip(name), size)
	}
	src, done := d.history.Folder()
	defer done()
	f.Size = size
	in, err := src.Open(ctx, f)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fail(CodeNotFound, "The history has no file %q any more. Begin the backup again.", name)
	}
	return in, err
}

// ReplaceBy puts the database in the SQLite file that r holds, of that SHA-256 digest
// (hex), in the place of this one, in one transaction that can be gone back from.
func (d *Database) ReplaceBy(ctx context.Context, r io.Reader, digest string) (restored Restored, err error) {
	out, err := d.fs.CreateTemp(d.dir, "restore")
	if err != nil {
		return Restored{}, fmt.Errorf("d1: restore: %w", err)
	}
	defer func() { err = errors.Join(err, d.fs.Discard(out)) }()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(d.fs.Writer(out), sum), r); err != nil {
		return Restored{}, fmt.Errorf("d1: restore: %w", err)
	}
	if hex.EncodeToString(sum.Sum(nil)) != digest {
		return Restored{}, fail(CodeInvalid, "The database that arrived has not the SHA-256 digest %s. Send it again.", clip(digest))
	}
	if err := checkReplacement(out); err != nil {
		return Restored{}, err
	}
	restored.Previous, restored.Current, err = d.replace(ctx, out.Name())
	restored.Bookmark = restored.Current
	return restored, err
}

// checkReplacement looks at a file from outside before it becomes a database.
func checkReplacement(f *os.File) (err error) {
	var b [100]byte // https://sqlite.org/fileformat2.html#the_database_header
	if _, err := f.ReadAt(b[:], 0); err != nil || !bytes.HasPrefix(b[:], []byte("SQLite format 3\x00")) {
		return fail(CodeInvalid, "The file is no SQLite database.")
	}
	if n := binary.BigEndian.Uint16(b[16:]); n != pageSize {
		return fail(CodeInvalid, "The database has pages of %d bytes; those here have %d. Import a dump of it instead.", n, pageSize)
	}
	if !slices.Equal(b[18:20], []byte{1, 1}) {
		return fail(CodeInvalid, "The file has a write-ahead log beside it. Make a whole one with VACUUM INTO.")
	}
	c, err := native.Open(f.Name(), native.Options{ReadOnly: true})
	if err != nil {
		return fail(CodeInvalid, "The file is no SQLite database: %s", err)
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	s, _, err := c.Prepare("PRAGMA quick_check(1)")
	if err != nil {
		return fail(CodeInvalid, "The database is damaged: %s", err)
	}
	r, err := c.Run(s, &native.Args{})
	if err != nil {
		return fail(CodeInvalid, "The database is damaged: %s", err)
	}
	if v, _ := native.Next(r.Rows); string(v.Data) != "ok" {
		return fail(CodeInvalid, "The database is damaged: %s", clip(string(v.Data)))
	}
	return nil
}

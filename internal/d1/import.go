package d1

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // the protocol's digest: it finds damage, it authenticates nothing
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/selvage-dev/selvage/internal/sqlite/native"
)

const (
	// MaxImportSize bounds a file of statements, in bytes.
	MaxImportSize = 5_000_000_000
	// At least importChunk bytes of a file are run at a time.
	importChunk = 1 << 20
	uploadName  = "import-"
	// A poll waits importPatience for an import to end before it says how far it is.
	importPatience = time.Second
)

// An import goes its way in four calls, of which only the last two touch the
// database:
//
//	Begin(digest) ──▶ upload(bytes, checked against the digest) ──▶ Ingest ──▶ Poll … complete | error
//	      └──────────── uploaded before and not used up ────────────────┘
//
// The statements run in one transaction on the writing connection: writers wait
// meanwhile, readers do not.

// ImportStatus is how far an import is.
type ImportStatus struct {
	State      ImportState
	Statements int64 // that ran so far
	Bytes      int64 // of the file, so far
	Total      int64 // bytes of the file
	Bookmark   string
	Err        error // of a failed one; a *[QueryError] or *[Error] when the text is at fault
	Duration   time.Duration
	Meta       Meta // of a complete one, its counts being sums
}

// ImportState says where an import is on its way.
type ImportState string

// The states of an import.
const (
	ImportWaiting  ImportState = "waiting" // for the file
	ImportActive   ImportState = "active"
	ImportComplete ImportState = "complete"
	ImportFailed   ImportState = "error"
)

// importRun is an import that runs or has ended. Of one database there is one.
type importRun struct {
	started    time.Time
	total      int64
	statements atomic.Int64
	bytes      atomic.Int64
	done       chan struct{} // closed at the end; the fields below are set then
	err        error
	bookmark   string
	duration   time.Duration
	meta       Meta
}

func (r *importRun) status() ImportStatus {
	s := ImportStatus{State: ImportActive, Statements: r.statements.Load(), Bytes: r.bytes.Load(), Total: r.total, Duration: time.Since(r.started)}
	select {
	case <-r.done:
		s.State, s.Err, s.Bookmark, s.Duration, s.Meta = ImportComplete, r.err, r.bookmark, r.duration, r.meta
		if r.err != nil {
			s.State = ImportFailed
		}
	default:
	}
	return s
}

// BeginImport says what an import of the file with this MD5 digest (hex) needs:
// its state is waiting for the upload, or it has begun because the file is here.
func (s *Service) BeginImport(ctx context.Context, id, digest string) (ImportStatus, error) {
	path, err := s.uploadPath(id, digest)
	if err != nil {
		return ImportStatus{}, err
	}
	exists, err := fileExists(path)
	if err != nil || !exists {
		return ImportStatus{State: ImportWaiting}, err
	}
	return s.Ingest(ctx, id, digest)
}

// Upload stores the file of an import. An upload that does not have the digest is
// refused, and nothing of it stays. An older one of the same database goes.
func (s *Service) Upload(_ context.Context, id, digest string, r io.Reader) (err error) {
	path, err := s.uploadPath(id, digest)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := s.o.Store.FS.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("d1: upload: %w", err)
	}
	f, err := s.o.Store.FS.CreateTemp(dir, uploadName+"*")
	if err != nil {
		return fmt.Errorf("d1: upload: %w", err)
	}
	sum := md5.New() //nolint:gosec // see the import
	n, err := copyHashed(s.o.Store.FS.Writer(f), sum, io.LimitReader(r, MaxImportSize+1))
	switch {
	case err != nil:
	case n > MaxImportSize:
		err = fail(CodeInvalid, "The file is larger than %d bytes. Split it.", int64(MaxImportSize))
	case hex.EncodeToString(sum.Sum(nil)) != digest:
		err = fail(CodeInvalid, "The file that arrived has not the MD5 digest %s. Upload it again.", digest)
	}
	if err != nil {
		return errors.Join(err, s.o.Store.FS.Discard(f))
	}
	if err := s.o.Store.FS.Commit(f, path); err != nil {
		return fmt.Errorf("d1: upload: %w", err)
	}
	s.removeUploads(dir, filepath.Base(path))
	return nil
}

// copyHashed copies r to w and adds what it copies to sum, beside: MD5 takes as long for a
// byte as the disk.
func copyHashed(w io.Writer, sum hash.Hash, r io.Reader) (n int64, err error) {
	const buffers, size = 3, 256 << 10
	free, full := make(chan []byte, buffers), make(chan []byte, buffers)
	for range buffers {
		free <- make([]byte, size)
	}
	hashed := make(chan struct{})
	go func() {
		defer close(hashed)
		for b := range full {
			_, _ = sum.Write(b) // never fails (hash.Hash)
			free <- b[:size]
		}
	}()
	defer func() { close(full); <-hashed }()
	for {
		b := <-free
		k, readErr := io.ReadFull(r, b)
		if _, err := w.Write(b[:k]); err != nil {
			return n, err //nolint:wrapcheck // as io.Copy
		}
		n += int64(k)
		full <- b[:k]
		switch {
		case errors.Is(readErr, io.EOF) || errors.Is(readErr, io.ErrUnexpectedEOF):
			return n, nil
		case readErr != nil:
			return n, readErr //nolint:wrapcheck // as io.Copy
		}
	}
}

// removeUploads removes the files of imports except one.
func (s *Service) removeUploads(dir, except string) {
	old, _ := filepath.Glob(filepath.Join(dir, uploadName+"*.sql")) // the pattern is well-formed
	for _, path := range old {
		if filepath.Base(path) == except {
			continue
		}
		if err := os.Remove(path); err != nil {
			s.o.Log.Warn("the file of an import was not removed", "path", path, "error", err)
		}
	}
}

// uploadPath is where the file with the digest is.
func (s *Service) uploadPath(id, digest string) (string, error) {
	key, err := parseID(id)
	if err != nil {
		return "", err
	}
	if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(digest) {
		return "", fail(CodeInvalid, "%q is no MD5 digest: 32 lower-case hex digits", clip(digest))
	}
	return filepath.Join(s.folderOf(key), uploadName+digest+".sql"), nil
}

// Ingest runs the uploaded file and returns when it is through, or how far it is
// after a moment.
func (s *Service) Ingest(ctx context.Context, id, digest string) (ImportStatus, error) {
	path, err := s.uploadPath(id, digest)
	if err != nil {
		return ImportStatus{}, err
	}
	f, err := os.Open(path) //nolint:gosec // below the database's folder, named by hex digits
	if errors.Is(err, os.ErrNotExist) {
		return ImportStatus{}, fail(CodeInvalid, "There is no uploaded file with the digest %s. Begin the import again.", digest)
	}
	if err != nil {
		return ImportStatus{}, fmt.Errorf("d1: import: %w", err)
	}
	run, err := s.startImport(ctx, id, f)
	if err != nil {
		return ImportStatus{}, errors.Join(err, f.Close())
	}
	return s.awaitImport(ctx, run), nil
}

// startImport begins to run f, which it takes.
func (s *Service) startImport(ctx context.Context, id string, f *os.File) (*importRun, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("d1: import: %w", err)
	}
	db, err := s.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	run := &importRun{started: time.Now(), total: info.Size(), done: make(chan struct{})}
	s.mu.Lock()
	if old := s.imports[db.id]; old != nil && old.status().State == ImportActive {
		s.mu.Unlock()
		db.Release()
		return nil, fail(CodeInvalid, "An import into this database is running. Wait for it.")
	}
	s.imports[db.id] = run
	s.mu.Unlock()
	go func() {
		defer db.Release()
		run.run(context.WithoutCancel(ctx), db, f)
		if run.err == nil {
			s.removeUploads(filepath.Dir(f.Name()), "")
		}
		close(run.done)
	}()
	return run, nil
}

// PollImport waits a moment for the database's import and says how far it is.
func (s *Service) PollImport(ctx context.Context, id string) (ImportStatus, error) {
	key, err := parseID(id)
	if err != nil {
		return ImportStatus{}, err
	}
	s.mu.Lock()
	run := s.imports[key]
	s.mu.Unlock()
	if run == nil {
		return ImportStatus{}, fail(CodeInvalid, "No import into this database is known. If the platform was restarted meanwhile, nothing of it was applied: begin again.")
	}
	return s.awaitImport(ctx, run), nil
}

func (s *Service) awaitImport(ctx context.Context, run *importRun) ImportStatus {
	t := time.NewTimer(importPatience)
	defer t.Stop()
	select {
	case <-run.done:
	case <-t.C:
	case <-ctx.Done():
	}
	return run.status()
}

// run runs the file in one transaction.
func (r *importRun) run(ctx context.Context, db *Database, f *os.File) {
	defer func() { _ = f.Close() }()
	changes := 0
	r.err = db.writer.exclusive(ctx, func(c *native.Conn) error {
		before := c.TotalChanges()
		if err := r.script(c, f); err != nil {
			return err
		}
		changes = c.TotalChanges() - before
		return nil
	})
	r.duration = time.Since(r.started)
	if r.err != nil {
		return
	}
	r.bookmark = db.Bookmark()
	r.meta.Duration, r.meta.SizeAfter, r.meta.ChangedDB = r.duration, db.Size(), true
	r.meta.Changes = int64(changes)
}

// script reads the file in chunks that end with a statement and runs them.
func (r *importRun) script(c *native.Conn, f io.Reader) error {
	var pending []byte
	buf := make([]byte, importChunk)
	for {
		n, readErr := io.ReadFull(f, buf)
		pending = append(pending, buf[:n]...)
		atEnd := errors.Is(readErr, io.EOF) || errors.Is(readErr, io.ErrUnexpectedEOF)
		if readErr != nil && !atEnd {
			return fmt.Errorf("d1: read the file of an import: %w", readErr)
		}
		end := len(pending)
		if !atEnd {
			end = native.LastStatementEnd(string(pending))
		}
		if err := r.chunk(c, pending[:end]); err != nil {
			return err
		}
		pending = append(pending[:0], pending[end:]...)
		switch {
		case atEnd:
			return nil
		case len(pending) > 2*importChunk: // far beyond what a statement may have
			return &QueryError{Err: fmt.Errorf("statement %d: %w", r.statements.Load()+1, &native.Error{Code: native.CodeTooBig, Message: "statement too long", Offset: -1})}
		}
	}
}

func (r *importRun) chunk(c *native.Conn, text []byte) error {
	if bytes.IndexByte(text, 0) >= 0 {
		return fail(CodeInvalid, "The file holds a zero byte: it is no text of SQL statements. A database file cannot be imported; dump it with \"sqlite3 FILE .dump\".")
	}
	done, err := c.Script(text)
	r.meta.RowsRead += done.RowsRead
	r.meta.RowsWritten += done.RowsWritten
	before := r.statements.Add(done.Statements) - done.Statements
	r.bytes.Add(int64(len(text)))
	if failed, ok := errors.AsType[*native.ScriptError](err); ok {
		return &ImportError{Statement: before + failed.Statement, Err: &QueryError{Err: failed.Err}}
	}
	return err
}

// ImportError says which statement of a file failed. Nothing of the file was applied.
type ImportError struct {
	Statement int64 // from 1
	Err       *QueryError
}

func (e *ImportError) Error() string {
	text := fmt.Sprintf("Statement %d failed: %s. Nothing was imported.", e.Statement, e.Err.Error())
	if errors.As(e.Err, new(*native.TransactionError)) {
		return fmt.Sprintf("Statement %d begins or ends a transaction. The import is one: remove BEGIN TRANSACTION and COMMIT from the file. Nothing was imported.", e.Statement)
	}
	return text
}

func (e *ImportError) Unwrap() error { return e.Err }

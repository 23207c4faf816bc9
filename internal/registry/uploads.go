package registry

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// upload is a blob on its way in. Its files are found again after a restart:
//
//	<id>.part   the bytes that came
//	<id>.repo   "<account>/<repository>", written first
type upload struct {
	id   uuid.UUID
	repo Repo
	path string

	mu   sync.Mutex // one request at a time writes
	gone bool       // finished, cancelled or closed
	size int64
	hash hash.Hash // nil after a restart: the bytes on disk are hashed at the end
	used time.Time
}

const (
	partSuffix = ".part"
	repoSuffix = ".repo"
)

// findUploads takes up what an earlier process left.
func (s *Service) findUploads() error {
	parts, err := filepath.Glob(filepath.Join(s.dir, "*"+partSuffix))
	if err != nil {
		return fmt.Errorf("registry: uploads: %w", err)
	}
	for _, path := range parts {
		base := path[:len(path)-len(partSuffix)]
		id, err := uuid.Parse(filepath.Base(base))
		if err != nil {
			continue // not ours
		}
		name, err := os.ReadFile(base + repoSuffix) //nolint:gosec // in the folder of the uploads
		info, statErr := os.Stat(path)
		if err != nil || statErr != nil {
			s.removeFiles(id)
			continue
		}
		account, rest, _ := strings.Cut(string(name), "/")
		s.uploads[id] = &upload{id: id, repo: Repo{account, rest}, path: path, size: info.Size(), used: info.ModTime()}
	}
	return nil
}

func (s *Service) file(id uuid.UUID, suffix string) string {
	return filepath.Join(s.dir, id.String()+suffix)
}

func (s *Service) removeFiles(id uuid.UUID) {
	for _, suffix := range []string{partSuffix, repoSuffix} {
		if err := s.o.Store.FS.Remove(s.file(id, suffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.o.Log.Error("a file of an upload was not removed", "upload", id, "error", err)
		}
	}
}

// StartUpload begins an upload into a repository, which need not exist yet.
func (s *Service) StartUpload(_ context.Context, repo Repo) (uuid.UUID, error) {
	if err := repo.check(); err != nil {
		return uuid.Nil, err
	}
	u := &upload{id: uuid.New(), repo: repo, hash: sha256.New(), used: s.o.Now()}
	u.path = s.file(u.id, partSuffix)
	s.mu.Lock()
	n := 0
	for _, other := range s.uploads {
		if other.repo.Account == repo.Account {
			n++
		}
	}
	switch {
	case s.closed:
		s.mu.Unlock()
		return uuid.Nil, ErrClosed
	case n >= s.o.Limits.Uploads:
		s.mu.Unlock()
		return uuid.Nil, fail(CodeTooManyRequests, "the account has %d uploads open, which is the limit; finish or cancel one, or wait until those that nobody continues are dropped", n)
	}
	s.uploads[u.id] = u
	s.mu.Unlock()
	err := s.o.Store.FS.WriteFile(s.file(u.id, repoSuffix), []byte(repo.Account+"/"+repo.Name), 0o600)
	if err == nil {
		err = s.o.Store.FS.WriteFile(u.path, nil, 0o600)
	}
	if err != nil {
		s.drop(u)
		return uuid.Nil, fmt.Errorf("registry: begin an upload: %w", err)
	}
	return u.id, nil
}

// find returns the upload, locked.
func (s *Service) find(repo Repo, id uuid.UUID) (*upload, error) {
	s.mu.Lock()
	u := s.uploads[id]
	s.mu.Unlock()
	if u == nil || u.repo != repo {
		return nil, fail(CodeUploadUnknown, "there is no upload %s in %.80q; begin another", id, repo.Name)
	}
	u.mu.Lock()
	if u.gone {
		u.mu.Unlock()
		return nil, fail(CodeUploadUnknown, "the upload %s has ended; begin another", id)
	}
	u.used = s.o.Now()
	return u, nil
}

// drop forgets an upload and its files. Who has it locked unlocks it.
func (s *Service) drop(u *upload) {
	u.gone = true
	s.mu.Lock()
	delete(s.uploads, u.id)
	s.mu.Unlock()
	s.removeFiles(u.id)
}

// UploadSize returns how many bytes of an upload have come.
func (s *Service) UploadSize(_ context.Context, repo Repo, id uuid.UUID) (int64, error) {
	u, err := s.find(repo, id)
	if err != nil {
		return 0, err
	}
	defer u.mu.Unlock()
	return u.size, nil
}

// CancelUpload drops an upload.
func (s *Service) CancelUpload(_ context.Context, repo Repo, id uuid.UUID) error {
	u, err := s.find(repo, id)
	if err != nil {
		return err
	}
	defer u.mu.Unlock()
	s.drop(u)
	return nil
}

// AppendUpload adds what r has and returns the upload's size. The from is where the
// client believes that it goes on, negative when it does not say. Bytes that came
// before r broke stay: the client asks how many and goes on.
func (s *Service) AppendUpload(_ context.Context, repo Repo, id uuid.UUID, from int64, r io.Reader) (int64, error) {
	u, err := s.find(repo, id)
	if err != nil {
		return 0, err
	}
	defer u.mu.Unlock()
	return s.append(u, from, r)
}

func (s *Service) append(u *upload, from int64, r io.Reader) (int64, error) {
	if from >= 0 && from != u.size {
		return u.size, fail(CodeUploadInvalid, "the upload has %d bytes, and this part begins at %d", u.size, from)
	}
	f, err := s.o.Store.FS.OpenAppend(u.path)
	if err != nil {
		return u.size, fmt.Errorf("registry: continue an upload: %w", err)
	}
	defer func() { _ = f.Close() }() // what counts is synced when the upload is finished
	if f.Size() != u.size {          // a write that failed by halves
		if err := f.Truncate(u.size); err != nil {
			return u.size, fmt.Errorf("registry: continue an upload: %w", err)
		}
	}
	buf := make([]byte, 256<<10) //nolint:mnd // large enough that system calls do not count
	for {
		n, err := r.Read(buf)
		if u.size+int64(n) > s.o.Limits.Blob {
			s.drop(u)
			return u.size, fail(CodeSizeInvalid, "the blob is larger than %d bytes, the limit for one", s.o.Limits.Blob)
		}
		if n > 0 {
			if werr := f.Append(buf[:n]); werr != nil {
				return u.size, fmt.Errorf("registry: write an upload: %w", werr)
			}
			u.size += int64(n)
			if u.hash != nil {
				_, _ = u.hash.Write(buf[:n]) // never fails
			}
		}
		if errors.Is(err, io.EOF) {
			return u.size, nil
		}
		if err != nil {
			return u.size, fmt.Errorf("registry: read an upload: %w", err)
		}
	}
}

// FinishUpload adds what r has and makes the upload the blob d. When the digest is
// another, the upload is gone: what was sent is not what was meant.
func (s *Service) FinishUpload(ctx context.Context, repo Repo, id uuid.UUID, d Digest, from int64, r io.Reader) error {
	u, err := s.find(repo, id)
	if err != nil {
		return err
	}
	defer u.mu.Unlock()
	if _, err := s.append(u, from, r); err != nil {
		return err
	}
	f, err := os.Open(u.path)
	if err != nil {
		return fmt.Errorf("registry: finish an upload: %w", err)
	}
	sum, err := u.sum(f)
	if err != nil {
		return errors.Join(fmt.Errorf("registry: finish an upload: %w", err), f.Close())
	}
	if sum != d {
		s.drop(u)
		return errors.Join(fail(CodeDigestInvalid, "what was uploaded has the digest %s, not %s", sum, d), f.Close())
	}
	if err := s.o.Store.Blobs.Adopt(f, string(d), u.size); err != nil {
		return fmt.Errorf("registry: keep %s: %w", d, err)
	}
	size := u.size
	s.drop(u)
	return s.recordBlob(ctx, repo, d, size)
}

// sum returns the digest of what came.
func (u *upload) sum(f *os.File) (Digest, error) {
	if u.hash == nil {
		u.hash = sha256.New()
		n, err := io.Copy(u.hash, io.NewSectionReader(f, 0, math.MaxInt64))
		if err == nil && n != u.size {
			err = fmt.Errorf("the file has %d bytes in place of %d: %w", n, u.size, io.ErrUnexpectedEOF)
		}
		if err != nil {
			u.hash = nil
			return "", err
		}
	}
	return Digest(hex.EncodeToString(u.hash.Sum(nil))), nil
}

func (s *Service) recordBlob(ctx context.Context, repo Repo, d Digest, size int64) error {
	err := s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO registry_blobs (account_id, repository, digest, size, created_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET created_at = excluded.created_at`, repo.Account, repo.Name, string(d), size, s.o.Now().UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("registry: record %s: %w", d, err)
	}
	return nil
}

// Mount shows a blob of one repository in another of the same account, so that it
// need not be sent again; ok is false when there is none.
func (s *Service) Mount(ctx context.Context, to Repo, from string, d Digest) (ok bool, err error) {
	if err := to.check(); err != nil {
		return false, err
	}
	size, err := s.StatBlob(ctx, Repo{to.Account, from}, d)
	if e, unknown := errors.AsType[*Error](err); unknown && e.Code == CodeBlobUnknown {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, s.recordBlob(ctx, to, d, size)
}

// StatBlob returns the size of a blob in bytes.
func (s *Service) StatBlob(ctx context.Context, repo Repo, d Digest) (int64, error) {
	var size int64
	err := s.o.Store.DB.Read().QueryRowContext(ctx, `SELECT size FROM registry_blobs WHERE account_id = ? AND repository = ? AND digest = ?`,
		repo.Account, repo.Name, string(d)).Scan(&size)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, fail(CodeBlobUnknown, "%.80q has no blob %s", repo.Name, d)
	case err != nil:
		return 0, fmt.Errorf("registry: read a blob: %w", err)
	}
	return size, nil
}

// dropIdle drops uploads that nobody has continued for a long time.
func (s *Service) dropIdle() int {
	s.mu.Lock()
	all := make([]*upload, 0, len(s.uploads))
	for _, u := range s.uploads {
		all = append(all, u)
	}
	s.mu.Unlock()
	n := 0
	for _, u := range all {
		if !u.mu.TryLock() {
			continue // it is being written
		}
		if !u.gone && s.o.Now().Sub(u.used) > s.o.Limits.Idle {
			s.drop(u)
			n++
		}
		u.mu.Unlock()
	}
	return n
}

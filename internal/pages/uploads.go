package pages

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/store"
)

// maxHashes bounds one list of hashes: as many as a deployment of any
// configuration may have files.
const maxHashes = 200_000

// UploadToken returns a token with which contents for the project can be
// uploaded, for [Options].TokenLife.
func (s *Service) UploadToken(ctx context.Context, account, project string) (string, error) {
	r, err := s.project(ctx, account, project)
	if err != nil {
		return "", err
	}
	return s.o.IssueTicket(Ticket{
		Account: account, Object: r.id, Action: ActionUpload, Expires: s.now().Add(s.o.TokenLife),
		Extra: map[string]any{"max_file_count_allowed": s.o.MaxFiles},
	}), nil
}

// upload is who uploads.
type upload struct{ account, project string }

// uploader checks a token. The error is CodeUploadToken.
func (s *Service) uploader(ctx context.Context, token string) (upload, error) {
	t, err := s.o.VerifyTicket(token, ActionUpload)
	if err != nil {
		return upload{}, &Error{Code: CodeUploadToken, Status: 401, Message: "Authorization failed: the upload token is not valid or has expired. Ask for another one.", Err: err}
	}
	var account string
	err = s.db().QueryRowContext(ctx, `SELECT account_id FROM pages_projects WHERE id = ?`, t.Object).Scan(&account)
	if errors.Is(err, sql.ErrNoRows) || err == nil && account != t.Account {
		return upload{}, fail(CodeUploadToken, 401, "Authorization failed: the project of the upload token is gone.")
	}
	if err != nil {
		return upload{}, internal("read the project", err)
	}
	return upload{t.Account, t.Object}, nil
}

// Missing returns those of hashes whose content is to be uploaded. The others
// stay there for a deployment that is made within [Options].BlobGrace.
func (s *Service) Missing(ctx context.Context, token string, hashes []string) ([]string, error) {
	u, err := s.uploader(ctx, token)
	if err != nil {
		return nil, err
	}
	if err := checkHashes(hashes); err != nil {
		return nil, err
	}
	if len(hashes) > s.o.MaxFiles {
		return nil, fail(CodeInvalidManifest, 400, "The site has %d different files; at most %d are allowed.", len(hashes), s.o.MaxFiles)
	}
	have, err := s.contents(ctx, u, hashes)
	if err != nil {
		return nil, internal("look for the contents", err)
	}
	missing := make([]string, 0)
	for _, h := range hashes {
		if _, ok := have[h]; !ok {
			missing = append(missing, h)
		}
	}
	return missing, nil
}

func checkHashes(hashes []string) error {
	if len(hashes) > maxHashes {
		return fail(CodeInvalidRequest, 400, "The list has %d hashes; at most %d are allowed.", len(hashes), maxHashes)
	}
	for _, h := range hashes {
		if !assets.IsHash(h) {
			return fail(CodeInvalidAsset, 400, "The hash %q is not %d hex digits.", clip(h), assets.HashLen)
		}
	}
	return nil
}

// content is what is stored under a hash.
type content struct {
	assets.Entry

	verified bool
}

// contents returns what there is of hashes and makes it young: the sweep leaves
// it alone for the grace time, whether something refers to it or not.
func (s *Service) contents(ctx context.Context, u upload, hashes []string) (map[string]content, error) {
	list, err := json.Marshal(hashes)
	if err != nil {
		return nil, err
	}
	now := s.now()
	old := now.Add(-s.o.BlobGrace / 4).UnixMilli()
	touched := make(map[string]bool)
	err = s.write(ctx, func(tx *sql.Tx) error {
		clear(touched)
		rows, err := tx.QueryContext(ctx, `UPDATE asset_files SET created_at = ? WHERE account_id = ? AND created_at < ? AND hash IN (SELECT value FROM json_each(?)) RETURNING blob_id`,
			now.UnixMilli(), u.account, old, string(list))
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var blob string
			if err := rows.Scan(&blob); err != nil {
				return err
			}
			touched[blob] = true
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	// CROSS JOIN: the list comes first. SQLite does not know how long it is, and would read it anew for each content
	// that the account has.
	have := make(map[string]content, len(hashes))
	if err := s.addContents(ctx, have, false, `SELECT f.hash, f.blob_id, f.size, f.content_type FROM json_each(?1) j CROSS JOIN pages_pending f ON f.project_id = ?2 AND f.hash = j.value`, string(list), u.project); err != nil {
		return nil, err
	}
	if err := s.addContents(ctx, have, true, `SELECT f.hash, f.blob_id, f.size, f.content_type FROM json_each(?1) j CROSS JOIN asset_files f ON f.account_id = ?2 AND f.hash = j.value`, string(list), u.account); err != nil {
		return nil, err
	}
	for hash, c := range have {
		there := s.o.Store.Blobs.Has(c.Blob)
		if there && (touched[c.Blob] || !c.verified) {
			if there, err = s.o.Store.Blobs.Touch(c.Blob); err != nil {
				return nil, err
			}
		}
		if !there {
			delete(have, hash)
		}
	}
	return have, nil
}

func (s *Service) addContents(ctx context.Context, have map[string]content, verified bool, query string, args ...any) error {
	rows, err := s.db().QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		c := content{verified: verified}
		if err := rows.Scan(&c.Hash, &c.Blob, &c.Size, &c.ContentType); err != nil {
			return err
		}
		have[c.Hash] = c
	}
	return rows.Err()
}

// Bounds of the contents of one upload request that are written at the same time: a disk syncs many in the time of
// one.
const (
	uploadWriters = 16
	uploadMemory  = 16 << 20 // bytes of base64, unless one content alone has more
)

// Uploader takes contents of one upload request. Its methods are for one goroutine; Close must be called.
type Uploader struct {
	s      *Service
	by     upload
	group  *errgroup.Group
	ctx    context.Context //nolint:containedctx // of the request, which the writers belong to
	cancel context.CancelFunc
	memory *semaphore.Weighted

	mu                sync.Mutex
	verified, pending []assets.Entry
}

// Uploader begins an upload; the error is CodeUploadToken when the token will not
// do.
func (s *Service) Uploader(ctx context.Context, token string) (*Uploader, error) {
	by, err := s.uploader(ctx, token)
	if err != nil {
		return nil, err
	}
	u := &Uploader{s: s, by: by, memory: semaphore.NewWeighted(uploadMemory)}
	ctx, u.cancel = context.WithCancel(ctx)
	u.group, u.ctx = errgroup.WithContext(ctx)
	u.group.SetLimit(uploadWriters)
	return u, nil
}

// Close ends the upload. What was put and not committed is forgotten.
func (u *Uploader) Close() {
	u.cancel()
	_ = u.group.Wait() // Commit has said what there is to say
}

// Encoded returns base64 text as Put takes it.
func Encoded(text string) func() io.ReadCloser {
	return func() io.ReadCloser { return io.NopCloser(strings.NewReader(text)) }
}

// Put takes the content that wrangler calls hash, as the base64 text that encoded gives; memory is how many bytes are
// held until that is read. It is written in the background and counts once Commit has returned, whose error is also
// that of the writing.
func (u *Uploader) Put(hash, contentType string, memory int, encoded func() io.ReadCloser) error {
	if !assets.IsHash(hash) {
		return fail(CodeInvalidAsset, 400, "The hash %q is not %d hex digits.", clip(hash), assets.HashLen)
	}
	if contentType == "application/null" {
		contentType = ""
	}
	if !assets.ValidContentType(contentType) {
		return fail(CodeInvalidAsset, 400, "The asset %s has a content type that is not printable ASCII of at most 256 bytes.", hash)
	}
	weight := min(int64(memory), uploadMemory)
	if err := u.memory.Acquire(u.ctx, weight); err != nil {
		if before := u.group.Wait(); before != nil {
			return before
		}
		return internal("store an asset", err) // nobody waits any more
	}
	u.group.Go(func() error {
		defer u.memory.Release(weight)
		return u.store(hash, contentType, encoded)
	})
	return nil
}

func (u *Uploader) store(hash, contentType string, encoded func() io.ReadCloser) error {
	text := encoded()
	defer func() { _ = text.Close() }() // only read
	h := assets.NewHasher()
	again := base64.NewEncoder(base64.StdEncoding, h) // the hash is over canonical base64
	blob, size, err := u.s.o.Store.Blobs.Put(u.ctx, io.TeeReader(base64.NewDecoder(base64.StdEncoding, text), again), u.s.o.MaxFileSize)
	var corrupt base64.CorruptInputError
	switch {
	case errors.Is(err, store.ErrTooLarge):
		return fail(CodeInvalidAsset, 413, "The asset %s has more than %d bytes, the most that one file may have.", hash, u.s.o.MaxFileSize)
	case errors.As(err, &corrupt), errors.Is(err, io.ErrUnexpectedEOF):
		return &Error{Code: CodeInvalidAsset, Status: 400, Message: "The asset " + hash + " did not come whole, or is not base64. Upload it again.", Err: err}
	case err != nil:
		return internal("store an asset", err)
	}
	_ = again.Close() // flushes into a hash, which never fails
	e := assets.Entry{Hash: hash, Blob: blob, Size: size, ContentType: contentType}
	verified := slices.ContainsFunc(extensions(), func(ext string) bool { return h.Sum(ext) == hash })
	u.mu.Lock()
	defer u.mu.Unlock()
	if verified {
		u.verified = append(u.verified, e)
	} else {
		u.pending = append(u.pending, e)
	}
	return nil
}

// Commit waits until all that was put is stored, and records it.
func (u *Uploader) Commit(ctx context.Context) error {
	if err := u.group.Wait(); err != nil {
		return err
	}
	at := u.s.now().UnixMilli()
	err := u.s.write(ctx, func(tx *sql.Tx) error {
		for _, e := range u.verified {
			if err := insertContent(ctx, tx, u.by.account, e, at); err != nil {
				return err
			}
		}
		for _, e := range u.pending {
			_, err := tx.ExecContext(ctx, `INSERT INTO pages_pending (project_id, hash, blob_id, size, content_type, created_at) VALUES (?, ?, ?, ?, ?, ?)
				ON CONFLICT (project_id, hash) DO UPDATE SET blob_id = excluded.blob_id, size = excluded.size, content_type = excluded.content_type, created_at = excluded.created_at`,
				u.by.project, e.Hash, e.Blob, e.Size, e.ContentType, at)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return internal("record the assets", err)
	}
	return nil
}

// insertContent records a content whose hash was computed here. Whoever was first
// said its content type.
func insertContent(ctx context.Context, tx *sql.Tx, account string, e assets.Entry, at int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO asset_files (account_id, hash, blob_id, size, content_type, created_at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (account_id, hash) DO UPDATE SET blob_id = excluded.blob_id, created_at = excluded.created_at`,
		account, e.Hash, e.Blob, e.Size, e.ContentType, at)
	return err
}

// extensions are those that files of sites mostly have, "" first. A content with
// another one waits for its manifest.
func extensions() []string {
	return append([]string{""}, strings.Fields(`html js css png svg jpg jpeg webp avif gif ico json map txt xml woff2 woff ttf otf eot mjs cjs
	wasm pdf webmanifest md mp4 webm mp3 ogg wav m4a zip gz br ts tsx jsx htm xhtml csv yaml yml toml rss atom vtt srt glb gltf bin data rsc body meta`)...)
}

// verify computes the hash of a content that waits and says whether it is the
// one for a file with the extension.
func (s *Service) verify(e assets.Entry, ext string) (ok bool, err error) {
	f, err := s.o.Store.Blobs.Open(e.Blob)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	h := assets.NewHasher()
	enc := base64.NewEncoder(base64.StdEncoding, h)
	if _, err := io.Copy(enc, f); err != nil {
		return false, err
	}
	_ = enc.Close()
	return h.Sum(ext) == e.Hash, nil
}

// sweepPending forgets contents that no manifest named in time.
func (s *Service) sweepPending(ctx context.Context, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM pages_pending WHERE created_at < ?`, at.Add(-s.o.BlobGrace).UnixMilli())
		return err
	})
}

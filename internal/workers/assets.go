package workers

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/store"
)

const (
	// Bounds of what wrangler puts into one request: it holds three such
	// requests in memory at a time.
	bucketBytes = 16 << 20
	bucketFiles = 256

	maxAssetPath  = 1024 // bytes
	noContentType = "application/null"
	maxSessions   = 64 // sessions whose manifest is kept in memory

	// Bound of a stored manifest, in bytes.
	maxManifest = 256 << 20
)

// session is an asset upload session whose manifest is in memory.
type session struct {
	id      string
	account string
	script  string
	exts    map[string][]string // extensions by hash: part of what the hash is over
	sizes   map[string]int64
}

// sessionCache keeps the manifests of sessions in use; others are read again.
type sessionCache struct {
	mu   sync.Mutex
	byID map[string]*session
}

func (c *sessionCache) get(id string) *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byID[id]
}

func (c *sessionCache) put(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID == nil {
		c.byID = make(map[string]*session)
	}
	for id := range c.byID {
		if len(c.byID) < maxSessions {
			break
		}
		delete(c.byID, id)
	}
	c.byID[s.id] = s
}

func (c *sessionCache) drop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byID, id)
}

// CreateAssetSession takes the manifest of a version to come, by path, and says
// which contents are not there yet. The script need not exist.
func (s *Service) CreateAssetSession(ctx context.Context, account, name string, manifest map[string]ManifestEntry) (AssetSession, error) {
	if err := checkScriptName(name); err != nil {
		return AssetSession{}, err
	}
	if err := s.checkManifest(manifest); err != nil {
		return AssetSession{}, err
	}
	raw, err := json.Marshal(manifest) // sorted by path: equal manifests are one blob
	if err != nil {
		return AssetSession{}, internal("save the manifest", err)
	}
	blob, _, err := s.o.Store.Blobs.Put(ctx, bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return AssetSession{}, internal("save the manifest", err)
	}
	ses := newSession(hex32(), account, name, manifest)
	s.assetSweep.RLock()
	defer s.assetSweep.RUnlock()
	missing, err := s.insertSession(ctx, ses, blob)
	if err != nil {
		return AssetSession{}, internal("open an upload session", err)
	}
	if len(missing) == 0 {
		return AssetSession{JWT: s.completion(ses)}, nil
	}
	s.sessions.put(ses)
	out := AssetSession{Buckets: buckets(missing, ses.sizes)}
	t := Ticket{Account: account, Object: ses.id, Action: ActionAssetUpload, Expires: time.Now().Add(s.o.SessionLifetime)}
	if s.o.SingleAssetUploads {
		t.Extra = map[string]any{"wrangler_single_asset_uploads": true}
	}
	out.JWT = s.o.IssueTicket(t)
	return out, nil
}

func newSession(id, account, script string, manifest map[string]ManifestEntry) *session {
	ses := &session{id: id, account: account, script: script, exts: make(map[string][]string), sizes: make(map[string]int64)}
	for p, e := range manifest {
		ext := extension(p)
		if !slices.Contains(ses.exts[e.Hash], ext) {
			ses.exts[e.Hash] = append(ses.exts[e.Hash], ext)
		}
		ses.sizes[e.Hash] = e.Size
	}
	return ses
}

// extension returns the extension without its dot as wrangler sees it (Node's
// path.extname): a name that begins with its only dot has none.
func extension(p string) string {
	base := path.Base(p)
	i := strings.LastIndexByte(base, '.')
	if i <= 0 {
		return ""
	}
	return base[i+1:]
}

func (s *Service) completion(ses *session) string {
	return s.o.IssueTicket(Ticket{Account: ses.account, Object: ses.id, Action: ActionAssetComplete, Expires: time.Now().Add(s.o.SessionLifetime)})
}

func (s *Service) checkManifest(manifest map[string]ManifestEntry) error {
	if len(manifest) == 0 {
		return fail(CodeInvalidAsset, 400, "The manifest names no asset.")
	}
	if len(manifest) > s.o.MaxAssets {
		return fail(CodeInvalidAsset, 413, "The manifest names %d assets; at most %d are allowed.", len(manifest), s.o.MaxAssets)
	}
	sizes := make(map[string]int64, len(manifest))
	for p, e := range manifest {
		if err := assets.ValidatePath(p, maxAssetPath); err != nil {
			return &Error{Code: CodeInvalidAsset, Status: 400, Message: fmt.Sprintf("The manifest is refused: %v.", err), Err: err}
		}
		switch {
		case !assets.IsHash(e.Hash):
			return fail(CodeInvalidAsset, 400, "The asset %q has the hash %q, which is not %d hex digits.", clip(p), clip(e.Hash), assets.HashLen)
		case e.Size < 0 || e.Size > s.o.MaxAssetSize:
			return fail(CodeInvalidAsset, 413, "The asset %q has %d bytes; at most %d are allowed.", clip(p), e.Size, s.o.MaxAssetSize)
		}
		if other, ok := sizes[e.Hash]; ok && other != e.Size {
			return fail(CodeInvalidAsset, 400, "The asset %q has %d bytes, another one with the same hash has %d.", clip(p), e.Size, other)
		}
		sizes[e.Hash] = e.Size
	}
	return nil
}

// buckets groups hashes so that no request grows too large.
func buckets(missing []string, sizes map[string]int64) [][]string {
	var out [][]string
	var bucket []string
	var total int64
	for _, h := range missing {
		if len(bucket) == bucketFiles || len(bucket) > 0 && total+sizes[h] > bucketBytes {
			out, bucket, total = append(out, bucket), nil, 0
		}
		bucket, total = append(bucket, h), total+sizes[h]
	}
	return append(out, bucket)
}

// insertSession saves the session and returns the hashes, sorted, that are to be uploaded.
func (s *Service) insertSession(ctx context.Context, ses *session, manifestBlob string) (missing []string, err error) {
	for _, hash := range slices.Sorted(maps.Keys(ses.sizes)) {
		blob, _, err := s.assetFile(ctx, ses.account, hash)
		if err != nil {
			return nil, err
		}
		if blob == "" || !s.o.Store.Blobs.Has(blob) {
			missing = append(missing, hash)
		}
	}
	at := time.Now()
	err = s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO asset_sessions (id, account_id, script, manifest_blob, missing, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			ses.id, ses.account, ses.script, manifestBlob, len(missing), at.UnixMilli(), at.Add(s.o.SessionLifetime).UnixMilli())
		if err != nil {
			return err
		}
		add, err := tx.PrepareContext(ctx, `INSERT INTO asset_session_files (session_id, hash, size, present) VALUES (?, ?, ?, ?)`)
		if err != nil {
			return err
		}
		defer func() { _ = add.Close() }()
		for hash, size := range ses.sizes {
			_, absent := slices.BinarySearch(missing, hash)
			if _, err := add.ExecContext(ctx, ses.id, hash, size, !absent); err != nil {
				return err
			}
		}
		return nil
	})
	return missing, err
}

// assetFile returns the blob of a hash, "" when there is none.
func (s *Service) assetFile(ctx context.Context, account, hash string) (blob, contentType string, err error) {
	err = s.db().QueryRowContext(ctx, `SELECT blob_id, content_type FROM asset_files WHERE account_id = ? AND hash = ?`, account, hash).Scan(&blob, &contentType)
	if errors.Is(err, sql.ErrNoRows) {
		return "", "", nil
	}
	return blob, contentType, err
}

// UploadAsset takes the content of one asset of the session that token was
// issued for. With isBase64 the body is base64 text. The result is the token to
// make a version with, "" until all contents are in, and every call after
// that returns one. A repeated upload is no error. Errors: CodeUploadTicket,
// CodeInvalidAsset when content and hash do not fit or the manifest has no such
// hash.
func (s *Service) UploadAsset(ctx context.Context, account, token, hash, contentType string, body io.Reader, isBase64 bool) (completion string, err error) {
	ses, err := s.session(ctx, account, token, ActionAssetUpload)
	if err != nil {
		return "", err
	}
	size, ok := ses.sizes[hash]
	if !ok {
		return "", fail(CodeInvalidAsset, 400, "The asset %q is not in the manifest of this upload.", clip(hash))
	}
	if contentType == noContentType {
		contentType = ""
	}
	if !assets.ValidContentType(contentType) { // as New asks of a manifest
		return "", fail(CodeInvalidAsset, 400, "The asset %s has a content type that is not printable ASCII of at most 256 bytes.", hash)
	}
	blob, err := s.putAsset(ctx, ses, hash, size, body, isBase64)
	if err != nil {
		return "", err
	}
	left, err := s.markPresent(ctx, ses, hash, blob, size, contentType)
	if errors.Is(err, sql.ErrNoRows) {
		return "", fail(CodeUploadTicket, 401, "The asset upload session has expired. Start the upload again.")
	}
	if err != nil {
		return "", internal("record the asset", err)
	}
	if left > 0 {
		return "", nil
	}
	return s.completion(ses), nil
}

// putAsset stores the content while it checks it against what the manifest says.
func (s *Service) putAsset(ctx context.Context, ses *session, hash string, size int64, body io.Reader, isBase64 bool) (blob string, err error) { //nolint:revive // the form of body, as the upload protocol has it
	h := assets.NewHasher()
	var got int64
	if isBase64 {
		// The hash is over canonical base64: what was decoded is encoded again.
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	enc := base64.NewEncoder(base64.StdEncoding, h)
	blob, got, err = s.o.Store.Blobs.Put(ctx, io.TeeReader(body, enc), size)
	var corrupt base64.CorruptInputError
	switch {
	case errors.Is(err, store.ErrTooLarge):
		return "", fail(CodeInvalidAsset, 400, "The asset %s has more than the %d bytes that the manifest says.", hash, size)
	case errors.As(err, &corrupt), errors.Is(err, io.ErrUnexpectedEOF):
		return "", &Error{Code: CodeInvalidAsset, Status: 400, Message: "The asset " + hash + " did not come whole, or is not base64. Upload it again.", Err: err}
	case err != nil:
		return "", internal("store an asset", err)
	case got != size:
		return "", fail(CodeInvalidAsset, 400, "The asset %s has %d bytes, not the %d that the manifest says.", hash, got, size)
	}
	_ = enc.Close() // flushes into a hash, which never fails
	if !slices.ContainsFunc(ses.exts[hash], func(ext string) bool { return h.Sum(ext) == hash }) {
		return "", fail(CodeInvalidAsset, 400, "The content of the asset %s does not have that hash.", hash)
	}
	return blob, nil
}

// markPresent records the content and returns how many are still missing.
func (s *Service) markPresent(ctx context.Context, ses *session, hash, blob string, size int64, contentType string) (left int, err error) {
	err = s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO asset_files (account_id, hash, blob_id, size, content_type, created_at) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (account_id, hash) DO UPDATE SET blob_id = excluded.blob_id, content_type = excluded.content_type, created_at = excluded.created_at`,
			ses.account, hash, blob, size, contentType, time.Now().UnixMilli())
		if err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `UPDATE asset_session_files SET present = 1 WHERE session_id = ? AND hash = ? AND present = 0`, ses.id, hash)
		if err != nil {
			return err
		}
		first, err := r.RowsAffected()
		if err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `UPDATE asset_sessions SET missing = missing - ? WHERE id = ? RETURNING missing`, first, ses.id).Scan(&left)
	})
	return left, err
}

// session returns the session of a token.
func (s *Service) session(ctx context.Context, account, token, action string) (*session, error) {
	t, err := s.o.VerifyTicket(token, action)
	if err != nil {
		return nil, &Error{Code: CodeUploadTicket, Status: 401, Message: "The asset upload token is not valid or has expired. Start the upload again.", Err: err}
	}
	if t.Account != account {
		return nil, fail(CodeUploadTicket, 403, "The asset upload token belongs to another account.")
	}
	if ses := s.sessions.get(t.Object); ses != nil {
		return ses, nil
	}
	var script, blob string
	err = s.db().QueryRowContext(ctx, `SELECT script, manifest_blob FROM asset_sessions WHERE id = ? AND account_id = ? AND expires_at > ?`, t.Object, account, time.Now().UnixMilli()).Scan(&script, &blob)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fail(CodeUploadTicket, 401, "The asset upload session has expired. Start the upload again.")
	}
	if err != nil {
		return nil, internal("read the upload session", err)
	}
	manifest, err := s.readManifest(blob)
	if err != nil {
		return nil, internal("read the upload session", err)
	}
	ses := newSession(t.Object, account, script, manifest)
	s.sessions.put(ses)
	return ses, nil
}

// readManifest reads the manifest of a session.
func (s *Service) readManifest(blob string) (map[string]ManifestEntry, error) {
	f, err := s.o.Store.Blobs.Open(blob)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var manifest map[string]ManifestEntry
	if err := json.NewDecoder(io.LimitReader(f, maxManifest)).Decode(&manifest); err != nil {
		return nil, fmt.Errorf("workers: manifest %s: %w", blob, err)
	}
	return manifest, nil
}

package workers

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/selvage-dev/selvage/internal/assets"
)

// resolveAssets turns the assets of an upload into those of its version: of a
// completed session, or of the latest version, or none.
func (s *Service) resolveAssets(ctx context.Context, sc scope, u *Upload, latest *document) (*documentAssets, error) {
	if u.Assets == nil && !u.KeepAssets {
		return nil, nil // a version without assets is ordinary
	}
	if u.Assets == nil || u.Assets.JWT == "" {
		if latest == nil || latest.Assets == nil {
			if u.KeepAssets && u.Assets == nil {
				return nil, nil // there are none to keep
			}
			return nil, invalidScript("The upload configures assets but brings none, and the latest version has none. Upload the assets first.")
		}
		kept := *latest.Assets
		if u.Assets != nil {
			kept.Config = u.Assets.Config
		}
		return s.finishAssets(ctx, sc, u, &kept)
	}
	ses, manifestBlob, err := s.completed(ctx, sc, u.Assets.JWT)
	if err != nil {
		return nil, err
	}
	uploaded, err := s.readManifest(manifestBlob)
	if err != nil {
		return nil, internal("read the manifest", err)
	}
	files, err := s.assetFiles(ctx, ses, sc.account)
	if err != nil {
		return nil, internal("read the assets", err)
	}
	manifest := make(assets.Manifest, len(uploaded))
	for p, e := range uploaded {
		entry, ok := files[e.Hash]
		if !ok {
			return nil, fail(CodeInvalidAsset, 400, "The content of the asset %q is gone. Upload the assets again.", clip(p))
		}
		manifest[p] = entry
	}
	raw, err := manifest.Encode()
	if err != nil {
		return nil, internal("save the manifest", err)
	}
	blob, _, err := s.o.Store.Blobs.Put(ctx, bytes.NewReader(raw), maxManifest)
	if err != nil {
		return nil, internal("save the manifest", err)
	}
	return s.finishAssets(ctx, sc, u, &documentAssets{Manifest: blob, Files: len(manifest), Config: u.Assets.Config})
}

// finishAssets derives what depends on the version's dates and checks the
// configuration by building a site of it.
func (s *Service) finishAssets(ctx context.Context, sc scope, u *Upload, a *documentAssets) (*documentAssets, error) {
	a.Config.NavigationPrefersAssets = assets.NavigationPrefersAssets(u.CompatibilityDate, u.CompatibilityFlags)
	site, err := assets.New(assets.Manifest{}, a.Config, s.o.Files, assets.WithRuleLimits(s.o.RuleLimits))
	if err != nil {
		return nil, &Error{Code: CodeInvalidAsset, Status: 400, Message: "The assets configuration is refused: " + err.Error() + ".", Err: err}
	}
	// wrangler tells its user of such lines; whoever uploads by other means finds them here.
	for _, w := range site.Warnings() {
		s.log.WarnContext(ctx, "a line of the assets' rules is ignored", "script", sc.script, "line", w.String())
	}
	return a, nil
}

// siteManifest reads the stored manifest of a version. What was allowed when it
// was made stays so: only what an asset may be called is checked again.
func (s *Service) siteManifest(blob string) (assets.Manifest, error) {
	f, err := s.o.Store.Blobs.Open(blob)
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	defer func() { _ = f.Close() }()
	manifest, err := assets.DecodeManifest(io.LimitReader(f, maxManifest), assets.Limits{Files: math.MaxInt, FileSize: math.MaxInt64})
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", blob, err)
	}
	return manifest, nil
}

// completed returns the session of a completion token and the blob of its
// manifest. The session is kept from expiring until the version is saved: only
// it protects the contents until then.
func (s *Service) completed(ctx context.Context, sc scope, token string) (id, manifestBlob string, err error) {
	t, err := s.o.VerifyTicket(token, ActionAssetComplete)
	if err != nil {
		return "", "", &Error{Code: CodeUploadTicket, Status: 400, Message: "The token of the asset upload is not valid, has expired, or the upload is not complete. Upload the assets again.", Err: err}
	}
	if t.Account != sc.account {
		return "", "", fail(CodeUploadTicket, 403, "The token of the asset upload belongs to another account.")
	}
	var script string
	var missing int
	until := time.Now().Add(2 * s.o.StartTimeout).UnixMilli()
	err = s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `UPDATE asset_sessions SET expires_at = max(expires_at, ?) WHERE id = ? AND account_id = ? RETURNING script, manifest_blob, missing`,
			until, t.Object, sc.account).Scan(&script, &manifestBlob, &missing)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", "", fail(CodeUploadTicket, 400, "The asset upload session has expired. Upload the assets again.")
	case err != nil:
		return "", "", internal("read the upload session", err)
	case script != sc.script:
		return "", "", fail(CodeUploadTicket, 403, "The token of the asset upload belongs to the Worker %q.", script)
	case missing > 0:
		return "", "", fail(CodeInvalidAsset, 400, "The asset upload is not complete: %d contents are missing.", missing)
	}
	return t.Object, manifestBlob, nil
}

// assetFiles returns the contents that a session refers to, by hash.
func (s *Service) assetFiles(ctx context.Context, session, account string) (map[string]assets.Entry, error) {
	rows, err := s.db().QueryContext(ctx, `SELECT f.hash, f.blob_id, f.size, f.content_type FROM asset_session_files s
		JOIN asset_files f ON f.account_id = ? AND f.hash = s.hash WHERE s.session_id = ?`, account, session)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	files := make(map[string]assets.Entry)
	for rows.Next() {
		var e assets.Entry
		if err := rows.Scan(&e.Hash, &e.Blob, &e.Size, &e.ContentType); err != nil {
			return nil, err
		}
		files[e.Hash] = e
	}
	return files, rows.Err()
}

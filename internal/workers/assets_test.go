package workers_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/workers"
)

// site makes a manifest of files.
func site(files map[string]string) (manifest map[string]workers.ManifestEntry, byHash map[string]string) {
	manifest, byHash = make(map[string]workers.ManifestEntry), make(map[string]string)
	for p, body := range files {
		ext := strings.TrimPrefix(path.Ext(p), ".")
		if strings.HasPrefix(path.Base(p), ".") {
			ext = "" // as Node's path.extname sees it
		}
		hash := assets.Hash([]byte(body), ext)
		manifest[p] = workers.ManifestEntry{Hash: hash, Size: int64(len(body))}
		byHash[hash] = body
	}
	return manifest, byHash
}

// uploadSite uploads what is missing and returns the completion token and the number of uploads.
func (h *harness) uploadSite(script string, files map[string]string) (token string, uploads int) {
	h.t.Helper()
	manifest, byHash := site(files)
	ses, err := h.CreateAssetSession(h.t.Context(), account, script, manifest)
	if err != nil {
		h.t.Fatal(err)
	}
	if len(ses.Buckets) == 0 {
		return ses.JWT, 0
	}
	for _, bucket := range ses.Buckets {
		for _, hash := range bucket {
			uploads++
			done, err := h.UploadAsset(h.t.Context(), account, ses.JWT, hash, "text/html; charset=utf-8", strings.NewReader(base64.StdEncoding.EncodeToString([]byte(byHash[hash]))), true)
			if err != nil {
				h.t.Fatal(err)
			}
			if done != "" {
				token = done
			}
		}
	}
	return token, uploads
}

func TestAssetsOnly(t *testing.T) {
	h := newHarness(t)
	files := map[string]string{"/index.html": "<h1>hi</h1>", "/copy.html": "<h1>hi</h1>", "/a b/ü.txt": "text", "/noext": "x", "/.hidden": "x", "/empty": ""}
	token, uploads := h.uploadSite("site", files)
	if uploads != 4 { // both pages are one content, "/noext" and "/.hidden" too
		t.Errorf("%d uploads, want 4", uploads)
	}
	d, err := h.PutScript(t.Context(), account, "site", &workers.Upload{Assets: &workers.UploadAssets{JWT: token}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.SetSubdomain(t.Context(), account, "site", true, nil); err != nil {
		t.Fatal(err)
	}
	r, err := h.Lookup(t.Context(), h.host("site"))
	if err != nil || r.Site == nil || r.Code || !d.Version.HasAssets || d.Version.HasCode {
		t.Fatalf("route = %+v, %v", r, err)
	}
	if n := h.runtime.count(); n != 0 {
		t.Errorf("%d processes for a site without code", n)
	}
	resp, err := r.Site.Respond(&assets.Request{Method: "GET", Scheme: "http", Host: h.host("site"), Path: "/", Header: func(string) string { return "" }})
	if err != nil || resp.Status != 200 || resp.Length != int64(len("<h1>hi</h1>")) {
		t.Errorf("answer = %+v, %v", resp, err)
	}
	if resp.Body.File != nil {
		_ = resp.Body.File.Close()
	}
	if _, again := h.uploadSite("site", files); again != 0 {
		t.Errorf("%d uploads of contents that are there", again)
	}
	// A version with code that keeps the assets, with another configuration.
	u := h.esm("export default 1", `{"name":"ASSETS","type":"assets"}`)
	u.Assets = &workers.UploadAssets{Config: assets.Config{NotFoundHandling: assets.SinglePageApplication}}
	v, err := h.CreateVersion(t.Context(), account, "site", u)
	if err != nil || !v.HasAssets || v.AssetsConfig.NotFoundHandling != assets.SinglePageApplication || h.runtime.last.Assets != "ASSETS" {
		t.Errorf("version = %+v, %v", v, err)
	}
}

func TestAssetUploadRefused(t *testing.T) {
	h := newHarness(t)
	manifest, byHash := site(map[string]string{"/a.txt": "aaa", "/b.txt": "bbb"})
	ses, err := h.CreateAssetSession(t.Context(), account, "site", manifest)
	if err != nil || len(ses.Buckets) != 1 || len(ses.Buckets[0]) != 2 {
		t.Fatalf("session = %+v, %v", ses, err)
	}
	hash := ses.Buckets[0][0]
	good := byHash[hash]
	for name, c := range map[string]struct {
		account, token, hash, body string
		base64                     bool
		code                       int
	}{
		"wrong token":   {account, "x", hash, good, false, workers.CodeUploadTicket},
		"other account": {strings.Repeat("f", 32), ses.JWT, hash, good, false, workers.CodeUploadTicket},
		"other hash":    {account, ses.JWT, strings.Repeat("0", 32), good, false, workers.CodeInvalidAsset},
		"other content": {account, ses.JWT, hash, "xxx", false, workers.CodeInvalidAsset},
		"too long":      {account, ses.JWT, hash, good + "x", false, workers.CodeInvalidAsset},
		"too short":     {account, ses.JWT, hash, good[:2], false, workers.CodeInvalidAsset},
		"no base64":     {account, ses.JWT, hash, "????", true, workers.CodeInvalidAsset},
		"cut base64":    {account, ses.JWT, hash, "YW", true, workers.CodeInvalidAsset},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.UploadAsset(t.Context(), c.account, c.token, c.hash, "", strings.NewReader(c.body), c.base64)
			wantCode(t, err, c.code)
		})
	}
	for _, bad := range []string{"text/plain; x=\u00fc", "a\r\nb", strings.Repeat("a", 257)} {
		_, err := h.UploadAsset(t.Context(), account, ses.JWT, hash, bad, strings.NewReader(good), false)
		wantCode(t, err, workers.CodeInvalidAsset)
	}
	if done, err := h.UploadAsset(t.Context(), account, ses.JWT, hash, "", strings.NewReader(good), false); err != nil || done != "" {
		t.Errorf("first of two: %q, %v", done, err)
	}
	if done, err := h.UploadAsset(t.Context(), account, ses.JWT, hash, "", strings.NewReader(good), false); err != nil || done != "" {
		t.Errorf("the first again: %q, %v", done, err)
	}
	_, err = h.PutScript(t.Context(), account, "site", &workers.Upload{Assets: &workers.UploadAssets{JWT: ses.JWT}})
	wantCode(t, err, workers.CodeUploadTicket)
	for name, m := range map[string]map[string]workers.ManifestEntry{
		"empty": {}, "relative": {"a": {Hash: hash, Size: 1}}, "bad hash": {"/a": {Hash: "../../../../../../../../etc/passwd"}},
		"size": {"/a": {Hash: hash, Size: -1}}, "too big": {"/a": {Hash: hash, Size: 26 << 20}}, "two sizes": {"/a": {Hash: hash, Size: 1}, "/b": {Hash: hash, Size: 2}},
	} {
		if _, err := h.CreateAssetSession(t.Context(), account, "site", m); err == nil {
			t.Errorf("manifest %q was accepted", name)
		}
	}
}

// TestConcurrentAssetUploads holds that of uploads at the same time exactly
// those that find the set complete get the token, at least one.
func TestConcurrentAssetUploads(t *testing.T) {
	h := newHarness(t)
	files := make(map[string]string)
	for i := range 600 {
		files[fmt.Sprintf("/%d.txt", i)] = fmt.Sprint("content ", i)
	}
	manifest, byHash := site(files)
	ses, err := h.CreateAssetSession(t.Context(), account, "site", manifest)
	if err != nil || len(ses.Buckets) != 3 {
		t.Fatalf("%d buckets, %v", len(ses.Buckets), err)
	}
	var tokens, uploads atomic.Int64
	var wg sync.WaitGroup
	for hashes := range slices.Chunk(slices.Concat(ses.Buckets...), 75) {
		wg.Go(func() {
			for _, hash := range hashes {
				done, err := h.UploadAsset(t.Context(), account, ses.JWT, hash, "text/plain", strings.NewReader(byHash[hash]), false)
				if err != nil {
					t.Error(err)
				}
				uploads.Add(1)
				if done != "" {
					tokens.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if tokens.Load() != 1 || uploads.Load() != 600 {
		t.Errorf("%d tokens after %d uploads, want one", tokens.Load(), uploads.Load())
	}
}

// TestSessionSurvivesRestart holds that an upload can go on after the platform was restarted.
func TestSessionSurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir, nil)
	manifest, byHash := site(map[string]string{"/a.txt": "aaa", "/b.css": "bbb"})
	ses, err := h.CreateAssetSession(t.Context(), account, "site", manifest)
	if err != nil {
		t.Fatal(err)
	}
	token := ""
	for _, hash := range ses.Buckets[0] {
		if token, err = h.UploadAsset(t.Context(), account, ses.JWT, hash, "", strings.NewReader(byHash[hash]), false); err != nil {
			t.Fatal(err)
		}
		h.end()
		h = open(t, dir, nil)
	}
	defer func() { h.end() }()
	if _, err := h.PutScript(t.Context(), account, "site", &workers.Upload{Assets: &workers.UploadAssets{JWT: token}}); err != nil {
		t.Fatal(err)
	}
}

// TestSweep holds that a sweep removes what interrupted uploads and deleted
// scripts leave, and nothing else.
func TestSweep(t *testing.T) {
	h := open(t, t.TempDir(), func(o *workers.Options) {
		o.SessionLifetime, o.BlobGrace, o.StartTimeout = 300*time.Millisecond, 600*time.Millisecond, 150*time.Millisecond
	})
	defer h.end()
	files := map[string]string{"/a.html": "a", "/b.html": "b"}
	token, _ := h.uploadSite("keep", files)
	u := h.esm("export default 'kept'")
	u.Assets = &workers.UploadAssets{JWT: token}
	if _, err := h.PutScript(t.Context(), account, "keep", u); err != nil {
		t.Fatal(err)
	}
	h.put("gone", "export default 'gone'")
	h.uploadSite("interrupted", map[string]string{"/c.html": "c", "/a.html": "a"})
	h.module("x", "text/plain", "never used")
	if err := h.DeleteScript(t.Context(), account, "gone", true); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Sweep(t.Context()); err != nil || got.Blobs != 0 || got.Assets != 0 {
		t.Errorf("young things were swept: %+v, %v", got, err)
	}
	time.Sleep(time.Second)
	got, err := h.Sweep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The asset c, the two sessions' manifests, the code of "gone" and the unused module.
	if got.Sessions != 2 || got.Assets != 1 || got.Blobs != 5 {
		t.Errorf("swept %+v", got)
	}
	kept, err := h.Script(t.Context(), account, "keep")
	if err != nil {
		t.Fatal(err)
	}
	f, err := h.OpenModule(kept.Live.Modules[0])
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	if _, uploads := h.uploadSite("keep", files); uploads != 0 {
		t.Errorf("%d contents of a live version are gone", uploads)
	}
	if _, err := os.Stat(h.store.Dir); err != nil {
		t.Fatal(err)
	}
}

package pages_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/pages"
)

func blobOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// kept returns what the sweep is told to keep.
func (f *fixture) kept() map[string]bool {
	f.t.Helper()
	got := make(map[string]bool)
	if err := f.Blobs(f.t.Context(), func(id string) { got[id] = true }); err != nil {
		f.t.Fatal(err)
	}
	return got
}

// TestContentsAreThoseOfDeployments deploys, retries, fails and deletes at random. What is kept are the contents of
// the deployments that are there, those of all and of no other.
func TestContentsAreThoseOfDeployments(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	f := open(t, t.TempDir(), nil)
	f.project("web")
	f.project("docs")
	contents := make(map[string]map[string]string) // path → content, by project and id
	const total = 40                               // contents that may be deployed
	for range 120 {
		project := []string{"web", "docs"}[random.IntN(2)]
		branch := []string{"main", "a", "b"}[random.IntN(3)]
		victim, site := "", make(map[string]string)
		for key, s := range contents {
			if key[:3] == project[:3] {
				victim, site = key[4:], s
				break
			}
		}
		switch n := random.IntN(10); {
		case n == 0:
			if _, err := f.DeployFailed(t.Context(), account, project, &pages.DeployRequest{Commit: pages.Commit{Branch: branch}}); err != nil {
				t.Fatal(err)
			}
		case n == 1 && victim != "":
			d, err := f.Retry(t.Context(), account, project, victim)
			if err != nil {
				t.Fatal(err)
			}
			contents[project[:3]+" "+d.ID] = site
		case n < 6 && victim != "":
			if err := f.DeleteDeployment(t.Context(), account, project, victim, true); code(err) == pages.CodeActive {
				continue
			} else if err != nil {
				t.Fatal(err)
			}
			delete(contents, project[:3]+" "+victim)
		default:
			site := make(map[string]string)
			for range 1 + random.IntN(12) {
				i := random.IntN(total)
				site[fmt.Sprintf("/%d.txt", i)] = fmt.Sprint("content ", i)
			}
			d := f.deploy(project, branch, site)
			contents[project[:3]+" "+d.ID] = site
		}
		want := make(map[string]bool)
		for _, s := range contents {
			for _, content := range s {
				want[blobOf(content)] = true
			}
		}
		for range 2 { // once more after rows that nobody needs were removed
			got := f.kept()
			for i := range total {
				if id := blobOf(fmt.Sprint("content ", i)); got[id] != want[id] {
					t.Fatalf("content %d is kept: %t, want %t", i, got[id], want[id])
				}
			}
		}
	}
}

// TestSweepReadsNoManifests: what a sweep costs may not grow with deployments times files. And what an earlier
// release has deployed, which wrote no rows of contents, is kept by its manifest.
func TestSweepReadsNoManifests(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	f.project("web")
	f.deploy("web", "main", map[string]string{"/index.html": "home"})
	db := f.store.DB
	var manifest string
	if err := db.Read().QueryRow(`SELECT manifest FROM pages_deployments`).Scan(&manifest); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(f.store.Blobs.Path(manifest))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.store.Blobs.Delete(manifest); err != nil {
		t.Fatal(err)
	}
	if got := f.kept(); !got[blobOf("home")] || !got[manifest] {
		t.Errorf("kept without reading the manifest: %v", got)
	}
	before := func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM pages_contents`)
		if err == nil {
			_, err = tx.ExecContext(ctx, `UPDATE pages_deployments SET recorded = 0`)
		}
		return err
	}
	if err := db.Write(t.Context(), func(tx *sql.Tx) error { return before(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
	if err := f.Blobs(t.Context(), func(string) {}); err == nil {
		t.Error("a manifest that cannot be read is no error: its contents would go")
	}
	if err := os.WriteFile(f.store.Blobs.Path(manifest), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	f.deploy("web", "main", map[string]string{"/index.html": "home, again"})
	if got := f.kept(); !got[blobOf("home")] || !got[blobOf("home, again")] {
		t.Errorf("kept of an earlier release: %v", got)
	}
}

// TestManyContents looks up as many contents as a site may have files, in an account that has them all. Read for each
// content anew, the list would take most of a minute.
func TestManyContents(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	f.project("web")
	site := map[string]string{"/index.html": "one blob for all"}
	f.deploy("web", "main", site)
	blob := blobOf("one blob for all")
	hashes := make([]string, 20_000)
	err := f.store.DB.Write(t.Context(), func(tx *sql.Tx) error {
		for i := range hashes {
			hashes[i] = fmt.Sprintf("%032x", i)
			_, err := tx.ExecContext(t.Context(), `INSERT INTO asset_files (account_id, hash, blob_id, size, content_type, created_at) VALUES (?, ?, ?, 1, '', ?)`, account, hashes[i], blob, time.Now().UnixMilli())
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	token, err := f.UploadToken(t.Context(), account, "web")
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string, len(hashes))
	for i, h := range hashes {
		files[fmt.Sprintf("/%d.txt", i)] = h
	}
	begun := time.Now()
	missing, err := f.Missing(t.Context(), token, hashes)
	if err != nil || len(missing) > 0 {
		t.Errorf("%d are missing, %v", len(missing), err)
	}
	if _, err := f.Deploy(t.Context(), account, "web", &pages.DeployRequest{Manifest: files}); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("it took %s", took)
	}
}

package registry_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/registry"
	"github.com/selvage-dev/selvage/internal/store"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("REGISTRY_TEST_CRASH"); dir != "" {
		crashChild(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

var repo = registry.Repo{Account: "acme", Name: "app"}

func open(tb testing.TB, dir string, o registry.Options) (s *registry.Service, done func()) {
	tb.Helper()
	st, err := store.Open(dir)
	if err != nil {
		tb.Fatal(err)
	}
	o.Store = st
	s, err = registry.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return s, func() {
		if err := errors.Join(s.Close(), st.Close()); err != nil {
			tb.Error(err)
		}
	}
}

func digest(b []byte) registry.Digest { return registry.Digest(fmt.Sprintf("%x", sha256.Sum256(b))) }

// push sends an image of one layer and returns its manifest's digest.
func push(ctx context.Context, s *registry.Service, tag string, layer []byte) (registry.Digest, error) {
	config := []byte("{}")
	for _, b := range [][]byte{config, layer} {
		id, err := s.StartUpload(ctx, repo)
		if err == nil {
			err = s.FinishUpload(ctx, repo, id, digest(b), -1, bytes.NewReader(b))
		}
		if err != nil {
			return "", err
		}
	}
	body := fmt.Appendf(nil, `{"schemaVersion":2,"config":{"digest":%q,"size":2},"layers":[{"digest":%q,"size":%d}]}`, digest(config), digest(layer), len(layer))
	ref := registry.Reference{Tag: tag, Digest: digest(body)}
	return s.PutManifest(ctx, repo, ref, registry.TypeManifest, body)
}

func whole(ctx context.Context, s *registry.Service, ref registry.Reference) error {
	m, err := s.Manifest(ctx, repo, ref)
	if err != nil {
		return err
	}
	c, err := registry.ParseManifest(m.MediaType, m.Body)
	if err != nil {
		return err
	}
	for _, l := range c.Layers {
		d, err := registry.ParseDigest(l.Digest)
		if err != nil {
			return err
		}
		f, size, err := s.OpenBlob(ctx, repo, d)
		if err != nil {
			return err
		}
		b := make([]byte, size)
		_, err = f.Read(b)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		if digest(b) != d {
			return fmt.Errorf("%s holds something else", d)
		}
	}
	return nil
}

// TestUploadSurvivesRestart begins an upload, closes everything and finishes it.
func TestUploadSurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	s, done := open(t, dir, registry.Options{})
	layer := bytes.Repeat([]byte("x"), 100_000)
	id, err := s.StartUpload(t.Context(), repo)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.AppendUpload(t.Context(), repo, id, -1, bytes.NewReader(layer[:60_000])); n != 60_000 || err != nil {
		t.Fatal(n, err)
	}
	done()
	s, done = open(t, dir, registry.Options{})
	defer done()
	if n, err := s.UploadSize(t.Context(), repo, id); n != 60_000 || err != nil {
		t.Fatalf("%d bytes are there, %v", n, err)
	}
	if err := s.FinishUpload(t.Context(), repo, id, digest(layer), 60_000, bytes.NewReader(layer[60_000:])); err != nil {
		t.Fatal(err)
	}
	if n, err := s.StatBlob(t.Context(), repo, digest(layer)); n != 100_000 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	left, err := os.ReadDir(dir + "/registry/uploads")
	if err != nil || len(left) != 0 {
		t.Errorf("left of the upload: %v, %v", left, err)
	}
}

// TestCollect removes what nothing leads to and nothing else.
func TestCollect(t *testing.T) {
	now := time.Now()
	var used registry.Digest
	s, done := open(t, t.TempDir(), registry.Options{
		Now: func() time.Time { return now },
		InUse: func(_ context.Context, use func(registry.Repo, registry.Digest)) error {
			use(repo, used)
			return nil
		},
	})
	defer done()
	ctx := t.Context()
	digests := make(map[string]registry.Digest)
	for _, tag := range []string{"tagged", "used", "unused"} {
		d, err := push(ctx, s, tag, []byte(tag))
		if err != nil {
			t.Fatal(err)
		}
		digests[tag] = d
	}
	used = digests["used"]
	for _, tag := range []string{"used", "unused"} {
		if err := s.DeleteManifest(ctx, repo, registry.Reference{Tag: tag}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DeleteManifest(ctx, repo, registry.Reference{Digest: used}); err == nil {
		t.Error("an image in use was deleted")
	}
	idle, err := s.StartUpload(ctx, repo)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := s.Collect(ctx); err != nil || out != (registry.Collected{}) {
		t.Errorf("young: %+v, %v", out, err)
	}
	now = now.Add(25 * time.Hour)
	out, err := s.Collect(ctx)
	if want := (registry.Collected{Uploads: 1, Manifests: 1, Blobs: 1}); err != nil || out != want {
		t.Errorf("old: %+v, %v, want %+v", out, err, want)
	}
	if _, err := s.UploadSize(ctx, repo, idle); err == nil {
		t.Error("an upload that nobody continues is still there")
	}
	for tag, ref := range map[string]registry.Reference{"tagged": {Tag: "tagged"}, "used": {Digest: used}} {
		if err := whole(ctx, s, ref); err != nil {
			t.Errorf("%s: %v", tag, err)
		}
	}
	if _, err := s.Manifest(ctx, repo, registry.Reference{Digest: digests["unused"]}); err == nil {
		t.Error("the unused one is still there")
	}
	n := 0
	if err := s.Blobs(ctx, func(string) { n++ }); err != nil || n != 3 {
		t.Errorf("%d blobs are kept, %v", n, err)
	}
}

// TestUploadBound refuses more uploads than an account may have.
func TestUploadBound(t *testing.T) {
	s, done := open(t, t.TempDir(), registry.Options{Limits: registry.Limits{Uploads: 2, Blob: 10}})
	defer done()
	for range 2 {
		if _, err := s.StartUpload(t.Context(), repo); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.StartUpload(t.Context(), repo)
	if e, ok := errors.AsType[*registry.Error](err); !ok || e.Code != registry.CodeTooManyRequests {
		t.Errorf("the third: %v", err)
	}
	other := registry.Repo{Account: "other", Name: "app"}
	id, err := s.StartUpload(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.AppendUpload(t.Context(), other, id, -1, strings.NewReader("eleven byte"))
	if e, ok := errors.AsType[*registry.Error](err); !ok || e.Code != registry.CodeSizeInvalid {
		t.Errorf("a blob that is too large: %v", err)
	}
}

// TestKilledProcessKeepsAcknowledged kills a process that pushes images. Those that
// it acknowledged are there, whole.
func TestKilledProcessKeepsAcknowledged(t *testing.T) {
	rounds := 4
	if os.Getenv("SELVAGE_TEST_FULL") != "" {
		rounds = 60
	}
	dir := t.TempDir()
	total := 0
	for range rounds {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), "REGISTRY_TEST_CRASH="+dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		var tags []string
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if len(tags) == 0 {
				time.AfterFunc(time.Duration(rand.IntN(150))*time.Millisecond, func() { _ = child.Process.Kill() })
			}
			if tag, ok := strings.CutSuffix(lines.Text(), "."); ok {
				tags = append(tags, tag)
			}
		}
		_ = child.Wait()
		total += len(tags)
		s, done := open(t, dir, registry.Options{})
		for _, tag := range tags {
			if err := whole(t.Context(), s, registry.Reference{Tag: tag}); err != nil {
				t.Errorf("%s was acknowledged: %v", tag, err)
			}
		}
		done()
	}
	if total < rounds {
		t.Errorf("only %d images were pushed", total)
	}
	t.Logf("%d images in %d rounds", total, rounds)
}

func crashChild(dir string) {
	ctx := context.Background()
	st, err := store.Open(dir)
	if err == nil {
		var s *registry.Service
		s, err = registry.New(registry.Options{Store: st})
		for n := 0; err == nil; n++ {
			tag := fmt.Sprintf("t%d-%d", time.Now().UnixNano(), n)
			if _, err = push(ctx, s, tag, []byte(strings.Repeat(tag, 1000))); err == nil {
				fmt.Println(tag + ".")
			}
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// FuzzParseManifest holds that what is accepted names only digests.
func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"config":{"digest":"sha256:` + strings.Repeat("a", 64) + `","size":2},"layers":[]}`))
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"digest":"sha256:` + strings.Repeat("b", 64) + `","size":2}]}`))
	f.Add([]byte(`{"schemaVersion":2,"config":{"digest":"../x"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, mediaType := range []string{registry.TypeManifest, registry.TypeIndex} {
			c, err := registry.ParseManifest(mediaType, body)
			if err != nil {
				continue
			}
			for _, part := range append(append(c.Manifests, c.Layers...), c.Config) {
				if part.Digest == "" && registry.IsIndex(mediaType) {
					continue
				}
				if _, err := registry.ParseDigest(part.Digest); err != nil {
					t.Errorf("accepted %q", part.Digest)
				}
			}
		}
	})
}

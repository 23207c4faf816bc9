package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/store"
)

func openVariants(t *testing.T, dir string) (*variants, func()) {
	t.Helper()
	st, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	v := newVariants(st, slog.New(slog.DiscardHandler))
	return v, func() {
		t.Helper()
		if err := v.close(); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}

func put(t *testing.T, v *variants, content []byte) string {
	t.Helper()
	id, _, err := v.store.Blobs.Put(t.Context(), bytes.NewReader(content), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// settle waits until nothing is being made.
func settle(t *testing.T, v *variants) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		v.mu.Lock()
		left := len(v.pending)
		v.mu.Unlock()
		if left == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the encodings are never made")
		}
	}
}

func TestVariantsAreMadeOnceAndKept(t *testing.T) {
	dir := t.TempDir()
	v, end := openVariants(t, dir)
	text := []byte(strings.Repeat("<p>the same again and again</p>\n", 1000))
	blob := put(t, v, text)
	for _, encoding := range assets.Encodings() {
		if _, _, ok := v.Variant(t.Context(), blob, encoding); ok {
			t.Errorf("%s is there before it was made", encoding)
		}
	}
	settle(t, v)
	for _, encoding := range assets.Encodings() {
		if _, size, ok := v.Variant(t.Context(), blob, encoding); !ok || size >= int64(len(text)) || size == 0 {
			t.Errorf("%s: %d bytes, %v", encoding, size, ok)
		}
	}
	end()

	v, end = openVariants(t, dir)
	defer end()
	id, _, ok := v.Variant(t.Context(), blob, "gzip")
	if !ok {
		t.Fatal("gone after a restart")
	}
	f, err := v.Open(id)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, text) {
		t.Errorf("decoded to %d bytes, %v", len(got), err)
	}
	// One whose file is lost is made again.
	if err := os.Remove(v.store.Blobs.Path(id)); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := v.Variant(t.Context(), blob, "gzip"); ok {
		t.Error("a lost file is offered")
	}
	settle(t, v)
	if _, _, ok := v.Variant(t.Context(), blob, "gzip"); !ok {
		t.Error("not made again")
	}
}

func TestVariantThatSavesNothing(t *testing.T) {
	v, end := openVariants(t, t.TempDir())
	defer end()
	noise := make([]byte, 8<<10)
	rand.Read(noise)
	for _, content := range [][]byte{noise, []byte("x"), {}} {
		blob := put(t, v, content)
		for range 2 {
			for _, encoding := range assets.Encodings() {
				if id, _, ok := v.Variant(t.Context(), blob, encoding); ok {
					t.Errorf("%s of %d bytes is %s", encoding, len(content), id)
				}
			}
			settle(t, v)
		}
	}
	var rows int
	if err := v.store.DB.Read().QueryRow("SELECT count(*) FROM blob_variants WHERE variant_id = 'identity'").Scan(&rows); err != nil || rows != 9 {
		t.Errorf("%d rows say that it is not worth it, want 9 (%v)", rows, err)
	}
	if _, _, ok := v.Variant(t.Context(), strings.Repeat("0", 64), "br"); ok {
		t.Error("a variant of nothing")
	}
}

func TestVariantsStopInTheMiddle(t *testing.T) {
	v, end := openVariants(t, t.TempDir())
	for i := range 50 {
		blob := put(t, v, bytes.Repeat([]byte{byte(i), byte(i + 1), 'a'}, 100<<10))
		v.Variant(context.Background(), blob, "br")
	}
	began := time.Now()
	end()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("close took %v", took)
	}
}

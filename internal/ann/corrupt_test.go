package ann_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/selvage-dev/selvage/internal/ann"
	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/fsx/fsxtest"
)

// TestCorruptIsNeverServed changes one byte here and there of a segment: it is
// refused when opened, or when the vector that is hit is asked for, or the byte
// is padding and every answer is right.
func TestCorruptIsNeverServed(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	c := ann.Config{Dim: 40, Metric: ann.Cosine}
	r := randomRows(rng, 900, c.Dim)
	path := filepath.Join(t.TempDir(), "segment")
	if err := ann.Build(t.Context(), fsx.FS{}, path, c, r); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var atOpen, later int
	for range 300 {
		at := rng.IntN(len(whole))
		switch rng.IntN(4) {
		case 0: // Half of a segment is vectors: look at what else there is.
			at = len(whole) - 1 - rng.IntN(8192)
		case 1:
			at = len(whole) - 4096 + rng.IntN(256)
		}
		bad := append([]byte(nil), whole...)
		bad[at] ^= 1 << rng.IntN(8)
		opened, served := serves(t, bad, r, c)
		switch {
		case !opened:
			atOpen++
		case !served:
			later++
		}
	}
	if atOpen < 30 || later < 30 {
		t.Errorf("%d found when opened, %d later: the test does not reach both", atOpen, later)
	}
	for _, size := range []int{0, 1, 4095, 4096, len(whole) / 2, len(whole) - 4096, len(whole) - 1} {
		if opened, _ := serves(t, whole[:size], r, c); opened {
			t.Errorf("a file cut to %d of %d bytes was opened", size, len(whole))
		}
	}
}

// serves opens a file of these bytes and checks all it says.
func serves(t *testing.T, file []byte, r rows, c ann.Config) (opened, served bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := ann.Open(path)
	var corrupt *ann.CorruptError
	if errors.As(err, &corrupt) {
		return false, false
	}
	if err != nil {
		t.Fatalf("refused with %v, which is no CorruptError", err)
	}
	defer s.Close()
	got, err := s.Search(nil, r[3], ann.SearchOptions{K: 10, Exact: true})
	if errors.As(err, &corrupt) {
		return true, false
	}
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, nearest(c.Metric, r, r[3], 10, nil))
	return true, true
}

// TestTruncatedWhileOpen takes the file's pages away under the mapping: an
// error, not the end of the process.
func TestTruncatedWhileOpen(t *testing.T) {
	c := ann.Config{Dim: 512, Metric: ann.DotProduct}
	r := randomRows(rand.New(rand.NewPCG(6, 6)), 500, c.Dim)
	s := build(t, c, r)
	if err := os.Truncate(s.Path(), 8192); err != nil {
		t.Fatal(err)
	}
	var corrupt *ann.CorruptError
	if _, err := s.Search(nil, r[0], ann.SearchOptions{K: 3, Exact: true}); !errors.As(err, &corrupt) {
		t.Errorf("a search gave %v", err)
	}
	if _, err := s.Vector(nil, 400); !errors.As(err, &corrupt) {
		t.Errorf("Vector gave %v", err)
	}
}

// TestFaults stops a build at every step in turn: there is the old file or the
// new one, whole.
func TestFaults(t *testing.T) {
	c := ann.Config{Dim: 16, Metric: ann.Euclidean}
	rng := rand.New(rand.NewPCG(7, 7))
	before, after := randomRows(rng, 100, c.Dim), randomRows(rng, 600, c.Dim)
	path := filepath.Join(t.TempDir(), "segment")
	for n := 1; ; n++ {
		if err := ann.Build(t.Context(), fsx.FS{}, path, c, before); err != nil {
			t.Fatal(err)
		}
		faults := &fsxtest.Faults{}
		faults.StopAt(n)
		err := ann.Build(t.Context(), faults.FS(), path, c, after)
		s, openErr := ann.Open(path)
		if openErr != nil {
			t.Fatalf("it stopped at step %d (%v) and the file is gone: %v", n, err, openErr)
		}
		if got := s.Len(); got != len(after) && (err == nil || got != len(before)) {
			t.Errorf("it stopped at step %d (%v) and %d rows are left", n, err, got)
		}
		s.Close()
		if err == nil {
			if n < 5 {
				t.Errorf("only %d steps could fail", n-1)
			}
			return
		}
	}
}

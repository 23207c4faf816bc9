package vectorize

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/fsx/fsxtest"
	"github.com/selvage-dev/selvage/internal/store"
)

// filled makes an index "x" of n vectors, one mutation each, and closes it as a
// kill does: nothing is noted at the end.
func filled(t *testing.T, dir string, n, flushRows int) (files string) {
	t.Helper()
	st, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Store: st, FlushRows: flushRows})
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Create(t.Context(), account, CreateOptions{Name: "x", Config: Config{2, Dot}})
	if err != nil {
		t.Fatal(err)
	}
	x := open(t, s, "x")
	for i := range n {
		if _, err := x.Upsert(t.Context(), []Vector{{ID: fmt.Sprint("id", i), Values: []float32{float32(i), 1}}}); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); flushRows < n && x.freezing() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	manifest, err := os.ReadFile(filepath.Join(s.folderOf(info.ID), manifestName))
	if err != nil {
		t.Fatal(err)
	}
	x.Release()
	if err := errors.Join(s.Close(), st.Close()); err != nil {
		t.Fatal(err)
	}
	if flushRows > n {
		if err := os.WriteFile(filepath.Join(s.folderOf(info.ID), manifestName), manifest, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s.folderOf(info.ID)
}

func damage(t *testing.T, path string, change func(b []byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestTornTailIsCutOff: the last frame was being written when the machine stopped.
func TestTornTailIsCutOff(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(b []byte) []byte
		want   int
	}{
		{"half of the last frame", func(b []byte) []byte { return b[:len(b)-5] }, 9},
		{"garbage behind it", func(b []byte) []byte { return append(b, strings.Repeat("\x00junk", 100)...) }, 10},
		{"the last frame has holes", func(b []byte) []byte { b[len(b)-3] ^= 1; return b }, 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			files := filled(t, dir, 10, 1000)
			damage(t, filepath.Join(files, logName(1)), c.change)
			s := newService(t, dir, 1000)
			x := open(t, s, "x")
			if n := x.Stats().Count; n != c.want {
				t.Errorf("%d vectors, want %d", n, c.want)
			}
			if _, err := x.Upsert(t.Context(), []Vector{{ID: "new", Values: []float32{1, 2}}}); err != nil {
				t.Error(err)
			}
			x.Release()
			reopen(t, s)
			x = open(t, s, "x")
			defer x.Release()
			if n := x.Stats().Count; n != c.want+1 {
				t.Errorf("%d vectors after another, want %d", n, c.want+1)
			}
		})
	}
}

// TestDamageIsRefused: what was acknowledged and is not readable is not left out
// silently, and nothing of the index is served.
func TestDamageIsRefused(t *testing.T) {
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte {
			if at < 0 {
				at += len(b)
			}
			b[at] ^= 4
			return b
		}
	}
	for _, c := range []struct {
		name, file string
		flush      int
		change     func([]byte) []byte
	}{
		{"the middle of the log", logName(1), 1000, flip(200)},
		{"the head of the log", logName(1), 1000, flip(3)},
		{"the manifest", manifestName, 1000, flip(-20)},
		{"no manifest", manifestName, 1000, nil},
		{"documents", "*.docs", 4, flip(9)},
		{"the end of documents", "*.docs", 4, flip(-20)},
		{"half of the documents", "*.docs", 4, func(b []byte) []byte { return b[:len(b)/2] }},
		{"the end of vectors", "*.vectors", 4, flip(-4090)},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			files := filled(t, dir, 10, c.flush)
			found, err := filepath.Glob(filepath.Join(files, c.file))
			if err != nil || len(found) == 0 {
				t.Fatalf("no %s: %v", c.file, err)
			}
			if c.change == nil {
				if err := os.Remove(found[0]); err != nil {
					t.Fatal(err)
				}
			} else {
				damage(t, found[0], c.change)
			}
			s := newService(t, dir, 1000)
			_, err = s.Open(t.Context(), account, "x")
			var own *Error
			if !errors.As(err, &own) || own.Code != CodeCorrupt {
				t.Fatalf("opened: %v", err)
			}
		})
	}
}

// TestDamagedVectorIsNotServed: the vectors themselves are checked when they are read.
func TestDamagedVectorIsNotServed(t *testing.T) {
	dir := t.TempDir()
	files := filled(t, dir, 10, 4)
	found, _ := filepath.Glob(filepath.Join(files, "*.vectors"))
	if len(found) == 0 {
		t.Fatal("there is no segment")
	}
	damage(t, found[0], func(b []byte) []byte { b[1] ^= 4; return b })
	s := newService(t, dir, 1000)
	x := open(t, s, "x")
	defer x.Release()
	_, err := x.Query(&Query{Vector: []float32{1, 1}, TopK: 10, Exact: true})
	var own *Error
	if !errors.As(err, &own) || own.Code != CodeCorrupt {
		t.Errorf("a query: %v", err)
	}
}

// TestSealedLogIsWhole: after a clean end the end of the log is known, and nothing of
// it is taken for torn.
func TestSealedLogIsWhole(t *testing.T) {
	dir := t.TempDir()
	files := filled(t, dir, 10, 1000)
	s := newService(t, dir, 1000)
	open(t, s, "x").Release()
	reopen(t, s) // closes it, cleanly
	damage(t, filepath.Join(files, logName(1)), func(b []byte) []byte { return b[:len(b)-5] })
	if _, err := s.Open(t.Context(), account, "x"); err == nil {
		t.Error("opened without its last mutation")
	}
}

// TestFullDisk: a mutation that finds no room is refused, and the next one that finds
// some is taken.
func TestFullDisk(t *testing.T) {
	var faults fsxtest.Faults
	st, err := store.OpenWith(t.TempDir(), store.Options{FS: faults.FS()})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(s.Close(), st.Close()) }()
	if _, err := s.Create(t.Context(), account, CreateOptions{Name: "x", Config: Config{1, Dot}}); err != nil {
		t.Fatal(err)
	}
	x := open(t, s, "x")
	defer x.Release()
	faults.FailNth(fsx.OpWrite, 1, fsx.ErrNoSpace)
	if _, err := x.Upsert(t.Context(), []Vector{{ID: "a", Values: []float32{1}}}); !errors.Is(err, fsx.ErrNoSpace) {
		t.Errorf("on a full disk: %v", err)
	}
	if _, err := x.Upsert(t.Context(), []Vector{{ID: "b", Values: []float32{1}}}); err != nil || x.Stats().Count != 1 {
		t.Errorf("with room again: %v, %d vectors", err, x.Stats().Count)
	}
	// After a failed fsync nobody knows what is on disk.
	faults.FailNth(fsx.OpSync, 1, errors.New("lost"))
	var own *Error
	for range 2 {
		if _, err := x.Upsert(t.Context(), []Vector{{ID: "c", Values: []float32{1}}}); !errors.As(err, &own) || own.Code != CodeReadOnly {
			t.Errorf("after a failed fsync: %v", err)
		}
	}
	if n, err := x.Query(&Query{Vector: []float32{1}}); err != nil || len(n) != 1 {
		t.Errorf("queries after it: %v, %v", n, err)
	}
}

// TestFlippedBytes changes one byte after the other of each file of an index. Whatever
// was hit, the index answers with what was written or not at all.
func TestFlippedBytes(t *testing.T) {
	const n = 22
	dir := t.TempDir()
	files := filled(t, dir, n, 4)
	names, err := filepath.Glob(filepath.Join(files, "*"))
	if err != nil || len(names) < 4 {
		t.Fatalf("files: %v, %v", names, err)
	}
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	refused, kinds := 0, map[string]bool{}
	for _, name := range names {
		whole, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for range 12 {
			at, bit := r.IntN(len(whole)), byte(1)<<r.IntN(8)
			damage(t, name, func(b []byte) []byte { b[at] ^= bit; return b })
			if !answersRightly(t, dir, n) {
				refused++
				kinds[filepath.Ext(name)] = true
			}
			if err := os.WriteFile(name, whole, 0o600); err != nil {
				t.Fatal(err)
			}
			if t.Failed() {
				t.Fatalf("byte %d of %s, bit %02x", at, filepath.Base(name), bit)
			}
		}
	}
	if refused == 0 || !kinds[".docs"] || !kinds[".vectors"] || !kinds[""] {
		t.Errorf("%d damages were found, in files of the kinds %v", refused, kinds)
	}
	if !answersRightly(t, dir, n) {
		t.Error("the index is refused with its files as they were")
	}
}

// answersRightly reports whether an index of filled answers; what it answers is right.
func answersRightly(t *testing.T, dir string, n int) bool {
	t.Helper()
	st, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(s.Close(), st.Close()) }()
	corrupt := func(err error) bool {
		own, ok := errors.AsType[*Error](err)
		if !ok || own.Code != CodeCorrupt {
			t.Errorf("refused with %v", err)
		}
		return false
	}
	x, err := s.Open(t.Context(), account, "x")
	if err != nil {
		return corrupt(err)
	}
	defer x.Release()
	found, err := x.Query(&Query{Vector: []float32{1, 1}, TopK: 2 * n, ReturnValues: true})
	if err != nil {
		return corrupt(err)
	}
	if len(found) != n {
		t.Errorf("%d of %d are found", len(found), n)
	}
	for i := range found {
		if v := found[i]; v.ID != fmt.Sprint("id", v.Values[0]) || v.Score != -(v.Values[0]+1) {
			t.Errorf("%s has %v and the score %v", v.ID, v.Values, v.Score)
		}
	}
	return true
}

package cache_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/cache"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, o cache.Options) *cache.Store {
	t.Helper()
	s, err := cache.Open(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func key(name string) cache.Key { return sha256.Sum256([]byte(name)) }

func put(t *testing.T, s *cache.Store, zone, name, body string, ttl time.Duration) {
	t.Helper()
	if err := tryPut(s, zone, name, body, ttl); err != nil {
		t.Fatal(err)
	}
}

func tryPut(s *cache.Store, zone, name, body string, ttl time.Duration) error {
	w, err := s.NewWriter(zone)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := io.WriteString(w, body); err != nil {
		return err
	}
	now := time.Now()
	return w.Commit(key(name), &cache.Response{Status: 200, Stored: now, Expires: now.Add(ttl)})
}

func get(t *testing.T, s *cache.Store, zone, name string) (string, bool) {
	t.Helper()
	hit, ok := s.Get(zone, key(name))
	if !ok {
		return "", false
	}
	defer hit.Close()
	if hit.File == nil {
		return string(hit.Bytes), true
	}
	body, err := io.ReadAll(hit.File)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(body)) != hit.Length {
		t.Errorf("length %d, body of %d bytes", hit.Length, len(body))
	}
	return string(body), true
}

func want(t *testing.T, s *cache.Store, zone, name, body string) {
	t.Helper()
	if got, ok := get(t, s, zone, name); !ok || got != body {
		t.Errorf("%s/%s = %.40q, %v; want %.40q", zone, name, got, ok, body)
	}
}

func wantMiss(t *testing.T, s *cache.Store, zone, name string) {
	t.Helper()
	if got, ok := get(t, s, zone, name); ok {
		t.Errorf("%s/%s = %.40q, want a miss", zone, name, got)
	}
}

func TestPutGetDelete(t *testing.T) {
	s := open(t, cache.Options{})
	wantMiss(t, s, "z", "a")
	put(t, s, "z", "a", "one", time.Hour)
	put(t, s, "z", "empty", "", time.Hour)
	for range 4 { // from disk, then from memory
		want(t, s, "z", "a", "one")
		want(t, s, "z", "empty", "")
	}
	if s.Stats().Memory == 0 {
		t.Error("a small body that is asked for again is not kept in memory")
	}
	wantMiss(t, s, "other", "a")
	put(t, s, "z", "a", "two", time.Hour)
	want(t, s, "z", "a", "two")
	if !s.Delete("z", key("a")) || s.Delete("z", key("a")) || s.Delete("other", key("empty")) {
		t.Error("Delete does not report what was there")
	}
	wantMiss(t, s, "z", "a")
	s.DeleteZone("z")
	if st := s.Stats(); st.Bytes != 0 || st.Memory != 0 || st.Entries != 0 || st.Zones != 0 {
		t.Errorf("after everything is deleted: %+v", st)
	}
}

func TestExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, cache.Options{})
		put(t, s, "z", "a", "one", time.Minute)
		put(t, s, "z", "b", "one", time.Minute)
		put(t, s, "z", "c", "one", time.Hour)
		time.Sleep(time.Minute - time.Nanosecond)
		want(t, s, "z", "a", "one")
		time.Sleep(time.Nanosecond)
		wantMiss(t, s, "z", "a")
		if s.Delete("z", key("b")) {
			t.Error("Delete found what has expired")
		}
		want(t, s, "z", "c", "one")
		time.Sleep(time.Hour)
		if n := s.Sweep(); n != 1 {
			t.Errorf("Sweep removed %d, want 1", n)
		}
		if st := s.Stats(); st.Entries != 0 || st.Bytes != 0 {
			t.Errorf("after all expired: %+v", st)
		}
		synctest.Wait() // files are removed in the background
	})
}

// TestFilesFollowTheIndex: what leaves the index leaves the disk, and an aborted
// or failed body never gets there.
func TestFilesFollowTheIndex(t *testing.T) {
	dir := t.TempDir()
	s, err := cache.Open(dir, cache.Options{MaxBytes: 1 << 20, MaxObject: 100 << 10})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		put(t, s, "z", fmt.Sprint(i), strings.Repeat("x", 10<<10), time.Hour)
	}
	if n, st := files(t, dir), s.Stats(); n != st.Entries || st.Bytes > 1<<20 || st.Evicted == 0 {
		t.Errorf("%d files, %+v", n, st)
	}
	w, err := s.NewWriter("z")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 100<<10+1)); !errors.Is(err, cache.ErrTooLarge) {
		t.Errorf("a body that is too large: %v", err)
	}
	if err := w.Commit(key("large"), &cache.Response{Expires: time.Now().Add(time.Hour)}); !errors.Is(err, cache.ErrTooLarge) {
		t.Errorf("committing it: %v", err)
	}
	wantMiss(t, s, "z", "large")
	w, err = s.NewWriter("z")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, "half")
	w.Abort()
	if n, st := files(t, dir), s.Stats(); n != st.Entries {
		t.Errorf("%d files for %d entries", n, st.Entries)
	}
	put(t, s, "z", "last", "last", time.Hour)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := tryPut(s, "z", "x", "x", time.Hour); !errors.Is(err, cache.ErrClosed) {
		t.Errorf("put after Close: %v", err)
	}
	wantMiss(t, s, "z", "last")

	// The next process finds nothing, and removes what is there.
	s, err = cache.Open(dir, cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	wantMiss(t, s, "z", "last")
	for deadline := time.Now().Add(10 * time.Second); files(t, dir) > 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := files(t, dir); n != 0 {
		t.Errorf("%d files of an earlier process are left", n)
	}
}

func files(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil // being removed
		}
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestFairness: a zone that stores without end takes nothing from one that stays
// below an equal share, whether it commits or only writes.
func TestFairness(t *testing.T) {
	s := open(t, cache.Options{MaxBytes: 4 << 20, MaxObject: 1 << 20})
	for i := range 100 {
		put(t, s, "small", fmt.Sprint(i), "modest", time.Hour)
	}
	for i := range 2000 {
		put(t, s, "greedy", fmt.Sprint(i), strings.Repeat("g", 20<<10), time.Hour)
	}
	var writers []*cache.Writer
	failed := false
	for range 30 { // each within the bound for one body, together far above the cache
		w, err := s.NewWriter("hoarder")
		if err != nil {
			t.Fatal(err)
		}
		writers = append(writers, w)
		for range 10 {
			if _, err := w.Write(make([]byte, 50<<10)); err != nil {
				if !errors.Is(err, cache.ErrFull) {
					t.Fatal(err)
				}
				failed = true
				break
			}
		}
	}
	if !failed {
		t.Error("bodies that are being written may take more than the cache")
	}
	if st := s.Stats(); st.Bytes > 4<<20+50<<10 {
		t.Errorf("the cache takes %d bytes", st.Bytes)
	}
	for i := range 100 {
		want(t, s, "small", fmt.Sprint(i), "modest")
	}
	for _, w := range writers {
		w.Abort()
	}
	put(t, s, "hoarder", "x", "now there is room", time.Hour)
	want(t, s, "hoarder", "x", "now there is room")
}

// TestSieve: what is asked for stays while a scan of things asked for once goes by.
func TestSieve(t *testing.T) {
	s := open(t, cache.Options{MaxEntries: 100})
	for i := range 20 {
		put(t, s, "z", fmt.Sprint("hot", i), "hot", time.Hour)
	}
	for i := range 2000 {
		put(t, s, "z", fmt.Sprint("cold", i), "cold", time.Hour)
		if i%10 == 0 {
			for j := range 20 {
				want(t, s, "z", fmt.Sprint("hot", j), "hot")
			}
		}
	}
	if n := s.Stats().Entries; n > 100 {
		t.Errorf("%d entries, at most 100 are allowed", n)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	s := open(t, cache.Options{MemoryBytes: 64 << 10, MemoryBody: 8 << 10})
	for i := range 100 {
		name, body := fmt.Sprint(i), strings.Repeat(fmt.Sprint(i%10), 4<<10)
		put(t, s, "z", name, body, time.Hour)
		for range 3 {
			want(t, s, "z", name, body)
		}
	}
	put(t, s, "z", "large", strings.Repeat("l", 9<<10), time.Hour)
	for range 3 {
		want(t, s, "z", "large", strings.Repeat("l", 9<<10))
	}
	if m := s.Stats().Memory; m == 0 || m > 64<<10 {
		t.Errorf("copies take %d bytes, at most %d are allowed", m, 64<<10)
	}
	for i := range 100 {
		want(t, s, "z", fmt.Sprint(i), strings.Repeat(fmt.Sprint(i%10), 4<<10))
	}
}

// TestLostFile: an entry whose file somebody removed is a miss, not an error.
func TestLostFile(t *testing.T) {
	dir := t.TempDir()
	s, err := cache.Open(dir, cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put(t, s, "z", "a", "one", time.Hour)
	filepath.WalkDir(dir, func(p string, d fs.DirEntry, _ error) error {
		if !d.IsDir() {
			os.Remove(p)
		}
		return nil
	})
	wantMiss(t, s, "z", "a")
	if n := s.Stats().Entries; n != 0 {
		t.Errorf("%d entries are left", n)
	}
	put(t, s, "z", "a", "two", time.Hour)
	want(t, s, "z", "a", "two")
}

// TestAgainstModel runs random operations of several goroutines: a body that is
// found is always one that was stored under its name, whole.
func TestAgainstModel(t *testing.T) {
	s := open(t, cache.Options{MaxBytes: 1 << 20, MaxEntries: 64, MemoryBytes: 128 << 10, MemoryBody: 16 << 10})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 7))
			for range 2000 {
				zone, name := fmt.Sprint("z", r.IntN(3)), fmt.Sprint(r.IntN(40))
				switch r.IntN(10) {
				case 0:
					s.Delete(zone, key(name))
				case 1, 2, 3:
					unit := zone + "/" + name + "/" + fmt.Sprint(r.IntN(1000)) + ";"
					err := tryPut(s, zone, name, strings.Repeat(unit, r.IntN(2000)), time.Hour)
					if err != nil && !errors.Is(err, cache.ErrFull) {
						t.Error(err)
					}
				case 4:
					if r.IntN(50) == 0 {
						s.Sweep()
					}
				default:
					body, ok := get(t, s, zone, name)
					if !ok || body == "" {
						continue
					}
					unit, _, _ := strings.Cut(body, ";")
					unit += ";"
					if !strings.HasPrefix(unit, zone+"/"+name+"/") || len(body)%len(unit) != 0 || !bytes.Equal([]byte(body), bytes.Repeat([]byte(unit), len(body)/len(unit))) {
						t.Errorf("%s/%s has the body %.60q", zone, name, body)
					}
				}
			}
		})
	}
	wg.Wait()
	st := s.Stats()
	if st.Bytes > 1<<20 || st.Entries > 64 || st.Memory > 128<<10 {
		t.Errorf("bounds are broken: %+v", st)
	}
	for i := range 3 {
		s.DeleteZone(fmt.Sprint("z", i))
	}
	if st := s.Stats(); st.Bytes != 0 || st.Memory != 0 || st.Entries != 0 {
		t.Errorf("after everything is deleted: %+v", st)
	}
}

func BenchmarkGet(b *testing.B) {
	s, err := cache.Open(b.TempDir(), cache.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for range 3 {
		if err := tryPut(s, "z", "a", strings.Repeat("x", 4<<10), time.Hour); err != nil {
			b.Fatal(err)
		}
	}
	k := key("a")
	b.ReportAllocs()
	for b.Loop() {
		hit, _ := s.Get("z", k)
		hit.Close()
	}
}

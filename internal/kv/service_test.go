package kv_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/selvage-dev/selvage/internal/kv"
)

// TestValues stores values of all sizes around the one where they become files,
// over each other.
func TestValues(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, nil)
	f.missing("k")
	sizes := []int{0, 1, 1000, kv.InlineSize - 1, kv.InlineSize, kv.InlineSize + 1, 3 << 20, kv.MaxValueSize, 5, kv.InlineSize + 7, 0}
	for i, size := range sizes {
		value := strings.Repeat(string(rune('a'+i)), size)
		f.put("k", value)
		f.expect("k", value)
		f.expect("k", value) // from the cache
		if files := valueFiles(t, dir, f.ns); len(files) != map[bool]int{true: 1, false: 0}[size > kv.InlineSize] {
			t.Errorf("%d bytes: files %v", size, files)
		}
	}
	f.put("k", strings.Repeat("z", kv.InlineSize+1))
	if err := f.Delete(t.Context(), account, f.ns, "k", "not there"); err != nil {
		t.Error(err)
	}
	f.missing("k")
	if files := valueFiles(t, dir, f.ns); len(files) != 0 {
		t.Errorf("after the delete: %v", files)
	}
}

// valueFiles are the files of values, unfinished ones included.
func valueFiles(t *testing.T, dir, ns string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "kv", ns, "values"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestRefusedValues(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, nil)
	huge := func() io.Reader { return io.LimitReader(zeros{}, kv.MaxValueSize+10) }
	for name, c := range map[string]struct {
		r      io.Reader
		length int64
		want   string
	}{
		"by its length":               {iotest.ErrReader(errors.New("was read")), kv.MaxValueSize + 1, "Value length of 26214401 exceeds limit of 26214400."},
		"by its bytes":                {huge(), -1, "Value length of 26214410 exceeds limit of 26214400."},
		"breaks off":                  {strings.NewReader("abc"), 4, "unexpected EOF"},
		"breaks off without a length": {iotest.ErrReader(io.ErrUnexpectedEOF), -1, "unexpected EOF"},
		"large, breaks off":           {io.LimitReader(zeros{}, 1<<20-1), 1 << 20, "unexpected EOF"},
		"large, fails":                {io.MultiReader(io.LimitReader(zeros{}, 1<<20), iotest.ErrReader(errors.New("gone"))), -1, "gone"},
	} {
		if _, err := f.Stage(t.Context(), account, f.ns, c.r, c.length); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	v := f.pair("", strings.Repeat("a", 1<<17))
	if err := f.Put(t.Context(), account, f.ns, v); code(t, err) != kv.CodeInvalidKey {
		t.Error(err)
	}
	if files := valueFiles(t, dir, f.ns); len(files) != 0 {
		t.Errorf("refused values left %v", files)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestKeys(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	for _, key := range []string{"a", strings.Repeat("k", 512), strings.Repeat("ü", 256), "/", "a/b?c#d%20", "\x00", "...", " ", "😀", "a\nb"} {
		f.put(key, "v of "+key)
	}
	f.expect("\x00", "v of \x00")
	f.expect("😀", "v of 😀")
	if got := f.all("", 1000); len(got) != 10 || got[0] != "\x00" || got[9] != "😀" {
		t.Errorf("%q", got)
	}
	for key, want := range map[string]string{
		"":                       "Key names must not be empty",
		".":                      `Illegal key name "."`,
		"..":                     `Illegal key name ".."`,
		strings.Repeat("k", 513): "UTF-8 encoded length of 513 exceeds key length limit of 512.",
		strings.Repeat("ü", 257): "UTF-8 encoded length of 514 exceeds key length limit of 512.",
		"\xff":                   "URL-decode",
	} {
		v := f.pair("x", "y")
		v.Key = key
		_, _, getErr := f.Get(t.Context(), account, f.ns, key)
		_, _, metaErr := f.Metadata(t.Context(), account, f.ns, key)
		for _, err := range []error{f.Put(t.Context(), account, f.ns, v), getErr, metaErr, f.Delete(t.Context(), account, f.ns, key)} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%.20q: %v, want %q", key, err, want)
			}
		}
	}
}

func TestMetadata(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	put := func(metadata string) error {
		p := f.pair("k", "v")
		p.Metadata = []byte(metadata)
		return f.Put(t.Context(), account, f.ns, p)
	}
	longest := `"` + strings.Repeat("m", 1022) + `"`
	for in, want := range map[string]string{`{"a": 1}`: `{"a":1}`, "null": "", "": "", `"ü"`: `"ü"`, longest: longest} {
		if err := put(in); err != nil {
			t.Errorf("%.20s: %v", in, err)
		}
		got, ok, err := f.Metadata(t.Context(), account, f.ns, "k")
		if err != nil || !ok || string(got) != want {
			t.Errorf("%.20s: %s %v %v", in, got, ok, err)
		}
	}
	for in, want := range map[string]string{
		longest + " ": "Metadata length of 1025 exceeds limit of 1024.",
		"{":           "Metadata must be valid JSON.",
		"\"\xff\"":    "Metadata must be valid JSON.",
		`"a` + "\n":   "Metadata must be valid JSON.",
	} {
		if err := put(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", in, err, want)
		}
	}
	if _, ok, err := f.Metadata(t.Context(), account, f.ns, "none"); ok || err != nil {
		t.Error(ok, err)
	}
}

func TestExpiration(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, nil)
	put := func(key, value string, ttl int64) {
		p := f.pair(key, value)
		p.Expires = f.now().Unix() + ttl
		if err := f.Put(t.Context(), account, f.ns, p); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1200 { // more than one batch of the sweep
		put(fmt.Sprintf("short%04d", i), "x", 60)
	}
	put("big", strings.Repeat("b", 1<<17), 60)
	put("long", "y", 3600)
	f.put("for ever", "z")
	f.expect("short0000", "x") // now it is cached
	f.expect("long", "y")
	f.skew.Store(61)
	f.missing("short0000")
	f.missing("big")
	if _, ok, err := f.Metadata(t.Context(), account, f.ns, "short0001"); ok || err != nil {
		t.Error("metadata of an expired key", ok, err)
	}
	if got := f.all("", 1000); len(got) != 2 {
		t.Errorf("listed: %d keys", len(got))
	}
	// One that was put again does not go with its old row.
	put("short0007", "again", 3600)
	swept, err := f.Sweep(t.Context())
	if err != nil || swept.Keys != 1200 {
		t.Errorf("swept %+v, %v; want 1200 keys", swept, err)
	}
	if swept, err := f.Sweep(t.Context()); err != nil || swept != (kv.Swept{}) {
		t.Errorf("again: %+v, %v", swept, err)
	}
	if files := valueFiles(t, dir, f.ns); len(files) != 0 {
		t.Errorf("files of expired values: %v", files)
	}
	f.expect("short0007", "again")
	f.expect("for ever", "z")
	f.skew.Store(4000)
	f.missing("long")
	f.expect("for ever", "z")
}

func TestParseExpiration(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	now := f.now()
	at := now.Unix()
	for _, c := range []struct {
		expiration, ttl string
		want            int64
		message         string
	}{
		{"", "", 0, ""},
		{"", "60", at + 60, ""},
		{"", "59", 0, "Invalid expiration_ttl of 59. Expiration TTL must be at least 60."},
		{"", "0", 0, "Invalid expiration_ttl of 0. Please specify integer greater than 0."},
		{"", "-1", 0, "Invalid expiration_ttl of -1. Please specify integer greater than 0."},
		{"", "1.5", 0, "Invalid expiration_ttl of 1.5. Please specify integer greater than 0."},
		{"", "9007199254740992", 0, "Invalid expiration_ttl"},
		{"", "\r\nX: y", 0, "Invalid expiration_ttl of ??X: y."},
		{fmt.Sprint(at + 60), "", at + 60, ""},
		{fmt.Sprint(at + 59), "", 0, "Expiration times must be at least 60 seconds in the future."},
		{fmt.Sprint(at), "", 0, "greater than the current number of seconds since the UNIX epoch."},
		{"x", "", 0, "Invalid expiration of x."},
		{"1", "120", at + 120, ""},
	} {
		got, err := kv.ParseExpiration(c.expiration, c.ttl, now)
		if got != c.want || (err == nil) != (c.message == "") || err != nil && !strings.Contains(err.Error(), c.message) {
			t.Errorf("%q %q: %d %v, want %d %q", c.expiration, c.ttl, got, err, c.want, c.message)
		}
	}
	for text, ok := range map[string]bool{"": true, "30": true, "29": false, "-1": false, "x": false, "1e3": false} {
		if err := kv.CheckCacheTTL(text); (err == nil) != ok {
			t.Errorf("cache_ttl %q: %v", text, err)
		}
	}
}

func TestValueOfAnotherNamespace(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	p := f.pair("k", strings.Repeat("x", kv.InlineSize+1))
	f.ns = f.namespace("other")
	if err := f.Put(t.Context(), account, f.ns, p); code(t, err) != kv.CodeInternal {
		t.Errorf("%v", err)
	}
	f.missing("k")
}

func TestBulkIsAllOrNothing(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	pairs := []kv.Pair{f.pair("a", "1"), f.pair("b", strings.Repeat("2", 1<<17)), f.pair("a", "3"), f.pair("..", "4")}
	if err := f.Put(t.Context(), account, f.ns, pairs...); code(t, err) != kv.CodeInvalidKey {
		t.Fatal(err)
	}
	f.missing("a")
	pairs = []kv.Pair{f.pair("a", "1"), f.pair("b", strings.Repeat("2", 1<<17)), f.pair("a", "3")}
	if err := f.Put(t.Context(), account, f.ns, pairs...); err != nil {
		t.Fatal(err)
	}
	f.expect("a", "3")
}

// TestReadsSeeWrites has readers check that what they read is never older than
// the write that was acknowledged before they began, while the value changes
// between row and file, and the cache is too small to hold everything.
func TestReadsSeeWrites(t *testing.T) {
	f := open(t, t.TempDir(), func(o *kv.Options) { o.CacheBytes = 64 << 10 })
	const keys = 4
	var acknowledged [keys]atomic.Int64
	for i := range keys {
		f.put(fmt.Sprint(i), "0|")
	}
	stop := make(chan struct{})
	var readers, writers sync.WaitGroup
	var reads atomic.Int64
	for i := range keys {
		writers.Go(func() {
			for n := int64(1); n <= 150; n++ {
				size := 10
				if n%3 == 0 {
					size = kv.InlineSize + 1
				}
				f.put(fmt.Sprint(i), fmt.Sprint(n, "|", strings.Repeat("x", size)))
				acknowledged[i].Store(n)
			}
		})
		for range 2 {
			readers.Go(func() {
				last := int64(0)
				for {
					select {
					case <-stop:
						return
					default:
					}
					floor := max(last, acknowledged[i].Load())
					value, ok := f.read(fmt.Sprint(i))
					var n int64
					if _, err := fmt.Sscanf(value, "%d|", &n); !ok || err != nil || n < floor {
						t.Errorf("key %d: read %.10q, want at least %d", i, value, floor)
						return
					}
					last = n
					reads.Add(1)
				}
			})
		}
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	t.Logf("%d reads", reads.Load())
}

// TestOpenNamespacesAreBounded uses more namespaces than may be open, from many
// goroutines, so that they close and open under each other.
func TestOpenNamespacesAreBounded(t *testing.T) {
	f := open(t, t.TempDir(), func(o *kv.Options) { o.MaxOpen = 2 })
	var ids []string
	for i := range 6 {
		ids = append(ids, f.namespace(fmt.Sprint("n", i)))
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for n := range 20 {
				id := ids[(w+n)%len(ids)]
				v, err := f.Stage(context.Background(), account, id, strings.NewReader("v"), 1)
				if err == nil {
					err = f.Put(context.Background(), account, id, kv.Pair{Key: fmt.Sprint(w, n), Value: v})
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	total := 0
	for _, id := range ids {
		f.ns = id
		total += len(f.all("", 1000))
	}
	if total != 8*20 {
		t.Errorf("%d keys, want %d", total, 8*20)
	}
}

func TestFaultsAreNotAcknowledged(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, nil)
	f.put("k", "before")
	// A folder where a file is to go: nothing large can be stored.
	values := filepath.Join(dir, "kv", f.ns, "values")
	if err := os.WriteFile(values, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Stage(t.Context(), account, f.ns, io.LimitReader(zeros{}, 1<<20), 1<<20); code(t, err) != kv.CodeInternal {
		t.Errorf("%v", err)
	}
	f.expect("k", "before")
}

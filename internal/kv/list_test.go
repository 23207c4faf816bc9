package kv_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/kv"
)

// TestListAgainstModel compares lists with a sorted map, over random puts,
// deletes and expirations, with random prefixes and page sizes.
func TestListAgainstModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	f := open(t, t.TempDir(), nil)
	model := map[string]int64{} // key: when it expires
	letters := []string{"a", "b", "ab", "/", "ü", "\u007f", "\U0010ffff", "\x00", "~"}
	word := func() string {
		var b strings.Builder
		for range 1 + random.IntN(4) {
			b.WriteString(letters[random.IntN(len(letters))])
		}
		return b.String()
	}
	for round := range 40 {
		for range 20 {
			key := word()
			if random.IntN(4) == 0 {
				delete(model, key)
				if err := f.Delete(t.Context(), account, f.ns, key); err != nil {
					t.Fatal(err)
				}
				continue
			}
			p := f.pair(key, "v")
			if random.IntN(3) == 0 {
				p.Expires = f.now().Unix() + 100*int64(1+random.IntN(5))
			}
			model[key] = p.Expires
			if err := f.Put(t.Context(), account, f.ns, p); err != nil {
				t.Fatal(err)
			}
		}
		f.skew.Add(50)
		if round%10 == 9 {
			if _, err := f.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		prefix := ""
		if random.IntN(3) > 0 {
			prefix = word()
		}
		var want []string
		for key, expires := range model {
			if strings.HasPrefix(key, prefix) && (expires == 0 || expires > f.now().Unix()) {
				want = append(want, key)
			}
		}
		slices.Sort(want)
		if got := f.all(prefix, 1+random.IntN(30)); !slices.Equal(got, want) && len(got)+len(want) > 0 {
			t.Fatalf("round %d, prefix %q:\n got %q\nwant %q", round, prefix, got, want)
		}
	}
}

func TestListPages(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	p := f.pair("m", "v")
	p.Metadata, p.Expires = []byte(`{"a":1}`), f.now().Unix()+1000
	if err := f.Put(t.Context(), account, f.ns, p); err != nil {
		t.Fatal(err)
	}
	page, err := f.List(t.Context(), account, f.ns, kv.ListOptions{})
	if err != nil || page.Cursor != "" || len(page.Keys) != 1 || string(page.Keys[0].Metadata) != `{"a":1}` || page.Keys[0].Expires != p.Expires {
		t.Errorf("%+v %v", page, err)
	}
	// A page that is exactly full is the last when nothing follows.
	if page, err = f.List(t.Context(), account, f.ns, kv.ListOptions{Limit: 1}); err != nil || page.Cursor != "" {
		t.Errorf("%+v %v", page, err)
	}
	for _, o := range []kv.ListOptions{{Limit: -1}, {Limit: 1001}, {Prefix: strings.Repeat("p", 513)}} {
		if _, err := f.List(t.Context(), account, f.ns, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

// TestListAfterManyExpired holds that a list reads a bounded number of rows:
// what expired may empty a page, and the next one goes on.
func TestListAfterManyExpired(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	var pairs []kv.Pair
	for i := range 9000 {
		p := f.pair(fmt.Sprintf("k%05d", i), "v")
		p.Expires = f.now().Unix() + 60
		pairs = append(pairs, p)
	}
	if err := f.Put(t.Context(), account, f.ns, pairs...); err != nil {
		t.Fatal(err)
	}
	f.put("z", "v")
	f.skew.Store(100)
	page, err := f.List(t.Context(), account, f.ns, kv.ListOptions{})
	if err != nil || len(page.Keys) != 0 || page.Cursor == "" {
		t.Fatalf("%d keys, cursor %q, %v; want none and a cursor", len(page.Keys), page.Cursor, err)
	}
	if got := f.all("", 10); !slices.Equal(got, []string{"z"}) {
		t.Errorf("%q", got)
	}
}

func TestCursorsAreBound(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	for i := range 5 {
		f.put(fmt.Sprint("a", i), "v")
		f.put(fmt.Sprint("b", i), "v")
	}
	list := func(o kv.ListOptions) (kv.Page, error) { return f.List(t.Context(), account, f.ns, o) }
	page, err := list(kv.ListOptions{Prefix: "a", Limit: 2})
	if err != nil || page.Cursor == "" {
		t.Fatal(page, err)
	}
	if next, err := list(kv.ListOptions{Prefix: "a", Limit: 2, Cursor: page.Cursor}); err != nil || next.Keys[0].Name != "a2" {
		t.Errorf("%+v %v", next, err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(page.Cursor)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-1]++ // another key
	bad := []string{"x", "AAAA", page.Cursor + "A", page.Cursor[:len(page.Cursor)-4], base64.RawURLEncoding.EncodeToString(raw), strings.Repeat("A", 5000), "a2", "\x00"}
	for _, cursor := range bad {
		if _, err := list(kv.ListOptions{Prefix: "a", Cursor: cursor}); code(t, err) != kv.CodeInvalidCursor {
			t.Errorf("cursor %.40q: %v", cursor, err)
		}
	}
	for _, prefix := range []string{"", "b", "aa"} {
		if _, err := list(kv.ListOptions{Prefix: prefix, Cursor: page.Cursor}); code(t, err) != kv.CodeInvalidCursor {
			t.Errorf("prefix %q with a cursor of %q: %v", prefix, "a", err)
		}
	}
	f.ns = f.namespace("other")
	if _, err := list(kv.ListOptions{Prefix: "a", Cursor: page.Cursor}); code(t, err) != kv.CodeInvalidCursor {
		t.Errorf("the cursor of another namespace: %v", err)
	}
}

// TestCursorOutlivesARestart: nothing about a cursor is kept in memory.
func TestCursorOutlivesARestart(t *testing.T) {
	dir := t.TempDir()
	var cursor, ns string
	t.Run("before", func(t *testing.T) {
		f := open(t, dir, nil)
		for i := range 4 {
			f.put(fmt.Sprint(i), "v")
		}
		page, err := f.List(t.Context(), account, f.ns, kv.ListOptions{Limit: 2})
		if err != nil {
			t.Fatal(err)
		}
		cursor, ns = page.Cursor, f.ns
		if err := f.DeleteNamespace(t.Context(), account, f.namespace("gone")); err != nil {
			t.Error(err)
		}
		if _, err := f.RenameNamespace(t.Context(), account, f.ns, "old"); err != nil {
			t.Error(err)
		}
	})
	f := open(t, dir, nil)
	page, err := f.List(t.Context(), account, ns, kv.ListOptions{Cursor: cursor})
	if err != nil || len(page.Keys) != 2 || page.Keys[0].Name != "2" {
		t.Errorf("%+v %v", page, err)
	}
}

// TestListDoesNotScan fills a namespace and holds that the last page costs about
// what the first one does. SELVAGE_TEST_FULL fills it with two million keys.
func TestListDoesNotScan(t *testing.T) {
	n := 100_000
	if full() {
		n = 2_000_000
	}
	f := open(t, t.TempDir(), nil)
	const batch = 10_000
	for from := 0; from < n; from += batch {
		pairs := make([]kv.Pair, batch)
		for i := range pairs {
			pairs[i] = f.pair(fmt.Sprintf("user:%08d", from+i), "value")
		}
		if err := f.Put(t.Context(), account, f.ns, pairs...); err != nil {
			t.Fatal(err)
		}
	}
	cost := func(prefix string) time.Duration {
		best := time.Hour
		for range 20 {
			began := time.Now()
			page, err := f.List(t.Context(), account, f.ns, kv.ListOptions{Prefix: prefix, Limit: 10})
			best = min(best, time.Since(began))
			if err != nil || len(page.Keys) != 10 || page.Cursor == "" {
				t.Fatalf("%s: %d keys, %v", prefix, len(page.Keys), err)
			}
		}
		return best
	}
	first, last := cost("user:"), cost(fmt.Sprintf("user:%06d", n/100-1))
	t.Logf("%d keys: the first page takes %s, the last %s", n, first, last)
	// A scan of 100,000 rows takes some 20 ms.
	if last > 10*first+2*time.Millisecond {
		t.Errorf("the last page takes %s, the first %s", last, first)
	}
}

func FuzzCursor(f *testing.F) {
	fix := open(f, f.TempDir(), nil)
	fix.put("a", "v")
	fix.put("b", "v")
	page, err := fix.List(f.Context(), account, fix.ns, kv.ListOptions{Limit: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(page.Cursor)
	f.Add("")
	f.Add("AAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, cursor string) {
		got, err := fix.List(t.Context(), account, fix.ns, kv.ListOptions{Cursor: cursor})
		if cursor == "" || cursor == page.Cursor {
			if err != nil {
				t.Error(err)
			}
			return
		}
		if err == nil {
			t.Errorf("a made-up cursor %q gave %v", cursor, got)
		}
	})
}

package kv_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/kv"
	"github.com/selvage-dev/selvage/internal/store"
)

const account = "acc"

func TestMain(m *testing.M) {
	if dir := os.Getenv("KV_TEST_CRASH"); dir != "" {
		crashChild(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// fixture is a service on a data directory, with a clock of the test's.
type fixture struct {
	*kv.Service

	t     testing.TB
	store *store.Store
	skew  atomic.Int64 // seconds that the clock is ahead
	ns    string
}

func (f *fixture) now() time.Time { return time.Now().Add(time.Duration(f.skew.Load()) * time.Second) }

// open opens a service on dir with one namespace.
func open(tb testing.TB, dir string, change func(*kv.Options)) *fixture {
	tb.Helper()
	st, err := store.Open(dir)
	if err != nil {
		tb.Fatal(err)
	}
	f := &fixture{t: tb, store: st}
	o := kv.Options{Store: st, Now: f.now}
	if change != nil {
		change(&o)
	}
	if f.Service, err = kv.New(o); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := errors.Join(f.Close(), st.Close()); err != nil {
			tb.Error(err)
		}
	})
	f.ns = f.namespace("main")
	return f
}

func (f *fixture) namespace(title string) string {
	f.t.Helper()
	n, err := f.CreateNamespace(context.Background(), account, title)
	if err != nil {
		f.t.Fatal(err)
	}
	return n.ID
}

// pair stages a value.
func (f *fixture) pair(key, value string) kv.Pair {
	f.t.Helper()
	v, err := f.Stage(context.Background(), account, f.ns, strings.NewReader(value), int64(len(value)))
	if err != nil {
		f.t.Fatal(err)
	}
	return kv.Pair{Key: key, Value: v}
}

func (f *fixture) put(key, value string) {
	f.t.Helper()
	if err := f.Put(context.Background(), account, f.ns, f.pair(key, value)); err != nil {
		f.t.Fatal(err)
	}
}

// read returns a value, and whether there is one.
func (f *fixture) read(key string) (string, bool) {
	f.t.Helper()
	e, ok, err := f.Get(context.Background(), account, f.ns, key)
	if err != nil {
		f.t.Fatal(err)
	}
	if e.File == nil {
		return string(e.Value), ok
	}
	defer e.File.Close()
	body, err := io.ReadAll(e.File)
	if err != nil || int64(len(body)) != e.Size {
		f.t.Fatalf("%s: %d bytes, want %d: %v", key, len(body), e.Size, err)
	}
	return string(body), ok
}

func (f *fixture) expect(key, value string) {
	f.t.Helper()
	if got, ok := f.read(key); !ok || got != value {
		f.t.Errorf("%s: %.40q %v, want %.40q", key, got, ok, value)
	}
}

func (f *fixture) missing(key string) {
	f.t.Helper()
	if got, ok := f.read(key); ok {
		f.t.Errorf("%s: %.40q, want none", key, got)
	}
}

// all lists every key with a prefix, page by page.
func (f *fixture) all(prefix string, limit int) []string {
	f.t.Helper()
	names := []string{}
	o := kv.ListOptions{Prefix: prefix, Limit: limit}
	for {
		page, err := f.List(context.Background(), account, f.ns, o)
		if err != nil {
			f.t.Fatal(err)
		}
		if len(page.Keys) > limit {
			f.t.Fatalf("a page of %d keys, the limit is %d", len(page.Keys), limit)
		}
		for _, k := range page.Keys {
			names = append(names, k.Name)
		}
		if o.Cursor = page.Cursor; o.Cursor == "" {
			return names
		}
	}
}

// code is the code of an *kv.Error, 0 for nil.
func code(tb testing.TB, err error) int {
	tb.Helper()
	if err == nil {
		return 0
	}
	var e *kv.Error
	if !errors.As(err, &e) {
		tb.Errorf("%v is no *kv.Error", err)
		return -1
	}
	return e.Code
}

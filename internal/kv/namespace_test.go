package kv_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/kv"
)

func TestNamespaces(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	ctx := t.Context()
	if _, err := f.CreateNamespace(ctx, account, "main"); code(t, err) != kv.CodeTitleTaken {
		t.Errorf("a title twice: %v", err)
	}
	if _, err := f.CreateNamespace(ctx, "other account", "main"); err != nil {
		t.Errorf("a title of another account: %v", err)
	}
	for _, title := range []string{"", strings.Repeat("t", 513), "a\nb", "\xff"} {
		if _, err := f.CreateNamespace(ctx, account, title); code(t, err) != kv.CodeInvalidRequest {
			t.Errorf("title %.10q: %v", title, err)
		}
	}
	b, a := f.namespace("b"), f.namespace("a")
	if _, err := f.RenameNamespace(ctx, account, b, "a"); code(t, err) != kv.CodeTitleTaken {
		t.Errorf("rename to a taken title: %v", err)
	}
	if n, err := f.RenameNamespace(ctx, account, b, "c"); err != nil || n.Title != "c" || n.ID != b {
		t.Errorf("rename: %+v %v", n, err)
	}
	titles := func(by kv.Order, offset, limit int) (string, int) {
		all, total, err := f.Namespaces(ctx, account, by, offset, limit)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, n := range all {
			out = append(out, n.Title)
		}
		return strings.Join(out, " "), total
	}
	for _, c := range []struct {
		by            kv.Order
		offset, limit int
		want          string
	}{
		{kv.Order{ByTitle: true}, 0, 10, "a c main"},
		{kv.Order{ByTitle: true, Desc: true}, 0, 2, "main c"},
		{kv.Order{ByTitle: true}, 2, 2, "main"},
		{kv.Order{ByTitle: true}, 3, 2, ""},
	} {
		if got, total := titles(c.by, c.offset, c.limit); got != c.want || total != 3 {
			t.Errorf("%+v: %q of %d, want %q", c, got, total, c.want)
		}
	}
	for _, id := range []string{"", "..", "../" + a, strings.Repeat("0", 32), strings.ToUpper(a), b} {
		acc := account
		if id == b {
			acc = "other account"
		}
		_, err := f.Namespace(ctx, acc, id)
		_, renameErr := f.RenameNamespace(ctx, acc, id, "x")
		_, _, getErr := f.Get(ctx, acc, id, "k")
		_, listErr := f.List(ctx, acc, id, kv.ListOptions{})
		_, stageErr := f.Stage(ctx, acc, id, strings.NewReader(""), 0)
		for _, err := range []error{err, renameErr, getErr, listErr, stageErr, f.Delete(ctx, acc, id, "k"), f.DeleteNamespace(ctx, acc, id)} {
			if code(t, err) != kv.CodeNamespaceNotFound {
				t.Errorf("%q: %v", id, err)
			}
		}
	}
}

// TestDeleteNamespace deletes a namespace under load: calls under way end well or
// are told that it is gone, and nothing of it is left.
func TestDeleteNamespace(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, nil)
	f.put("big", strings.Repeat("x", 1<<17))
	e, ok, err := f.Get(t.Context(), account, f.ns, "big")
	if err != nil || !ok {
		t.Fatal(err)
	}
	defer e.File.Close()
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				v, err := f.Stage(context.Background(), account, f.ns, strings.NewReader("v"), 1)
				if err == nil {
					err = f.Put(context.Background(), account, f.ns, kv.Pair{Key: fmt.Sprint(w, i), Value: v})
				}
				if err != nil {
					if code(t, err) != kv.CodeNamespaceNotFound {
						t.Errorf("%v", err)
					}
					return
				}
			}
		})
	}
	time.Sleep(10 * time.Millisecond)
	if err := f.DeleteNamespace(t.Context(), account, f.ns); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if _, err := os.Stat(filepath.Join(dir, "kv", f.ns)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder: %v", err)
	}
	if n, err := e.File.Read(make([]byte, 10)); n != 10 || err != nil {
		t.Errorf("a value that was open: %d %v", n, err)
	}
}

// TestSweepOrphans leaves what a crash leaves: files without a row, and the
// folder of a namespace without one.
func TestSweepOrphans(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, nil)
	f.put("big", strings.Repeat("x", 1<<17))
	values := filepath.Join(dir, "kv", f.ns, "values")
	for _, name := range []string{strings.Repeat("0", 32), ".put.123.tmp"} {
		if err := os.WriteFile(filepath.Join(values, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-2 * time.Hour)
	for _, name := range valueFiles(t, dir, f.ns) {
		if err := os.Chtimes(filepath.Join(values, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	young := f.pair("young", strings.Repeat("y", 1<<17)) // staged, and put only after the sweep
	lost := filepath.Join(dir, "kv", strings.Repeat("1", 32))
	if err := os.MkdirAll(filepath.Join(lost, "values"), 0o700); err != nil {
		t.Fatal(err)
	}
	swept, err := f.Sweep(t.Context())
	if err != nil || swept.Files != 2 || swept.Namespaces != 1 {
		t.Errorf("swept %+v, %v", swept, err)
	}
	if _, err := os.Stat(lost); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the lost folder: %v", err)
	}
	f.expect("big", strings.Repeat("x", 1<<17))
	if err := f.Put(t.Context(), account, f.ns, young); err != nil {
		t.Fatal(err)
	}
	f.expect("young", strings.Repeat("y", 1<<17))
}

package functions_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/bundle/functions"
)

// folder writes files that each have a handler.
func folder(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		text := "export const onRequest = () => {}"
		if strings.Contains(name, "lib") {
			text = "export const help = 1"
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOrder(t *testing.T) {
	want := []string{
		"api/users/[id]/posts.ts", "api/users/me.js", "api/users/[id].js", "api/users/index.js", "api/[[all]].js", "zoo.js", "api/_middleware.js", "[page].js", "index.js",
	}
	given := slices.Clone(want)
	slices.Reverse(given)
	dir := folder(t, append(given, "lib.js", "notes.md", "types.d.ts", "node_modules/x/index.js", "mention.js")...)
	if err := os.WriteFile(filepath.Join(dir, "mention.js"), []byte("export const x = 1 // no onRequest"), 0o600); err != nil {
		t.Fatal(err)
	}
	routes, err := functions.Scan(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range routes {
		rel, err := filepath.Rel(dir, r.File)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, filepath.ToSlash(rel))
	}
	at := func(name string) int { return slices.Index(got, name) }
	// The longer path first, then the more exact one; the rest is by name.
	for _, pair := range [][2]string{
		{"api/users/[id]/posts.ts", "api/users/me.js"},
		{"api/users/me.js", "api/users/[id].js"},
		{"api/users/[id].js", "api/users/index.js"},
		{"api/users/index.js", "api/[[all]].js"},
		{"api/[[all]].js", "zoo.js"},
		{"zoo.js", "[page].js"},
		{"[page].js", "index.js"},
	} {
		if at(pair[0]) > at(pair[1]) {
			t.Errorf("%s comes after %s: %q", pair[0], pair[1], got)
		}
	}
	if len(got) != len(want) {
		t.Errorf("the routes are %q, want %q", got, want)
	}
}

func TestRoutesJSON(t *testing.T) {
	for _, c := range []struct {
		files []string
		want  string
	}{
		{[]string{"api/hello.js", "users/[id].js", "deep/[[path]].js"}, `["/api/hello","/deep/*","/users/*"]`},
		{[]string{"user-[id].js"}, `["/user-*"]`},
		{[]string{"api/hello.js", "api/_middleware.js"}, `["/api/*"]`},
		{[]string{"_middleware.js", "a.js"}, `["/*"]`},
		{[]string{"index.js"}, `["/"]`},
		{[]string{strings.Repeat("x", 101) + ".js"}, `["/*"]`},
	} {
		routes, err := functions.Scan(folder(t, c.files...))
		if err != nil {
			t.Fatal(err)
		}
		text, err := functions.RoutesJSON(routes)
		if err != nil || !strings.Contains(text, `"include":`+c.want) {
			t.Errorf("%q: %s, %v, want %s", c.files, text, err, c.want)
		}
	}
	var many []string
	for i := range 101 {
		many = append(many, strings.Repeat("a", i/10+1)+string(rune('a'+i%10))+"-"+strings.Repeat("b", i%7)+".js")
	}
	routes, err := functions.Scan(folder(t, many...))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := functions.RoutesJSON(routes); err != nil || !strings.Contains(text, `["/*"]`) {
		t.Errorf("101 rules: %s %v", text, err)
	}
}

func TestRefusedNames(t *testing.T) {
	for _, files := range [][]string{{"[[all]]/x.js"}, {"[a b].js"}, {"[].js"}, {"x-[[all]].js"}, {"a.js", "a.ts"}, {"[x].js", "[y].js"}, {"a.js", "a/index.js"}} {
		_, err := functions.Scan(folder(t, files...))
		if own := new(functions.Error); !errors.As(err, &own) {
			t.Errorf("%q: %v", files, err)
		}
	}
}

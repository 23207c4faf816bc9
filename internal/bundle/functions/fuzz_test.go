package functions_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/bundle/functions"
)

// FuzzNames scans files of any names: each is refused by an error that says so, or has a router that is text a
// JavaScript program can hold.
func FuzzNames(f *testing.F) {
	for _, name := range []string{"a/[id].js", "[[x]].ts", "x-[a]-[b].js", "a/_middleware.js", "[[a]]/b.js", "(é+].js", "[].js"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if !filepath.IsLocal(name) || strings.ContainsAny(name, "\x00\\") || len(name) > 100 || filepath.Ext(name) != ".js" || strings.HasSuffix(name, "/") || filepath.Clean(name) != name || strings.Contains(name, "lib") {
			return // the name of no file, or of none that would be scanned
		}
		routes, err := functions.Scan(folder(t, name))
		if bad, ok := errors.AsType[*functions.Error](err); ok {
			if bad.Text == "" {
				t.Error("an error that says nothing")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		source, err := functions.Source(routes)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(source, "const ROUTES = ") {
			t.Errorf("%q: no routes", name)
		}
		if _, err := functions.RoutesJSON(routes); err != nil {
			t.Error(err)
		}
	})
}

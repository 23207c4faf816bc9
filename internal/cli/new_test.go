package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/examples"
)

// TestNew writes every app. A folder with something in it is left as it is.
func TestNew(t *testing.T) {
	t.Parallel()
	if r := run(t, "new"); r.code != 0 || strings.Count(r.stdout, "\n") != len(examples.Apps()) {
		t.Errorf("new: %+v", r)
	}
	for _, e := range examples.Apps() {
		dir := filepath.Join(t.TempDir(), "deep", "app")
		if r := run(t, "new", "--pattern", e.Name, dir); r.code != 0 || !strings.Contains(r.stdout, dir) {
			t.Fatalf("new --pattern %s: %+v", e.Name, r)
		}
		text := func(name string) string {
			t.Helper()
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		test, github, gitlab := text("app.test.mjs"), text(".github/workflows/deploy.yml"), text(".gitlab-ci.yml")
		if !strings.Contains(test, `from "./ask.mjs"`) || strings.Contains(text("ask.mjs"), "@@") || strings.Contains(github+gitlab, "@@") {
			t.Errorf("%s is not whole:\n%s\n%s\n%s", e.Name, test, github, gitlab)
		}
		for _, name := range e.Asks {
			if !strings.Contains(test, name) || !strings.Contains(github, name+": ${{ secrets."+name+" }}") || !strings.Contains(gitlab, name) {
				t.Errorf("%s: %s is not asked for, or not given", e.Name, name)
			}
		}
		oneLine(t, run(t, "new", "--pattern", e.Name, dir), 1, "is not empty")
	}
	for _, args := range [][]string{{"new", "--pattern", "9"}, {"new", "folder"}, {"new", "a", "b"}} {
		if r := run(t, args...); r.code != 2 {
			t.Errorf("%v: %+v", args, r)
		}
	}
}

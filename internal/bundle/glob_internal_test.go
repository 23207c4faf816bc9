package bundle

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestGlob(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		glob, name     string
		imports, walks bool
	}{
		{"**/*.txt", "./a.txt", true, true},
		{"**/*.txt", "a.txt", false, true},
		{"**/*.txt", "x/y/a.txt", true, true},
		{"**/*.txt", "x/a.txt.js", false, false},
		{"*.js", "x/a.js", true, false},
		{"lazy/*.js", "lazy/a.js", true, true},
		{"lazy/*.js", "lazy/x/a.js", true, false},
		{"**/*.wasm?module", "./a.wasm?module", true, true},
		{"**/*.wasm?module", "./a.wasmXmodule", false, false},
		{"a.b", "aXb", false, false},
		{"**", "x/y", true, true},
	} {
		for walk, want := range map[bool]bool{false: c.imports, true: c.walks} {
			re, err := compileGlob(c.glob, walk)
			if err != nil {
				t.Fatal(err)
			}
			if got := re.MatchString(c.name); got != want {
				t.Errorf("%s on %s, walking %v: %v", c.glob, c.name, walk, got)
			}
		}
	}
}

// FuzzGlob holds that every glob compiles, that one without stars matches itself
// only, and that esbuild's filters, which are Go's expressions too, can take it.
func FuzzGlob(f *testing.F) {
	f.Add("**/*.txt", "a/b.txt")
	f.Add("[x](?:", "[x](?:")
	f.Fuzz(func(t *testing.T, glob, name string) {
		for _, walk := range []bool{false, true} {
			re, err := compileGlob(glob, walk)
			if !utf8.ValidString(glob) {
				continue
			}
			if err != nil {
				t.Fatalf("%q does not compile: %v", glob, err)
			}
			if !strings.Contains(glob, "*") && utf8.ValidString(name) && re.MatchString(name) != (name == glob) {
				t.Fatalf("%q on %q: %v", glob, name, name != glob)
			}
		}
	})
}

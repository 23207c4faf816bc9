package functions_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/bundle/functions"
)

// TestPatterns matches paths as the router does. Go's expressions have no lookahead, so only those of whole paths.
func TestPatterns(t *testing.T) {
	for _, c := range []struct{ file, path, want string }{
		{"index.js", "/", "/"},
		{"api/hello.js", "/API/hello/", "/API/hello/"},
		{"api/hello.js", "/api/hello/x", ""},
		{"users/[id].js", "/users/a%20b", "/users/a%20b a%20b"},
		{"users/[id].js", "/users/", ""},
		{"user-[id].json.js", "/user-7.json", "/user-7.json 7"},
		{"user-[id].json.js", "/user-7xjson", ""},
		{"deep/[[path]].js", "/deep", "/deep "},
		{"deep/[[path]].js", "/deep/a/b", "/deep/a/b a/b"},
		{"deep/[[path]].js", "/deep/a//b", ""},
		{"a+b(c).js", "/a+b(c)", "/a+b(c)"},
		{"a+b(c).js", "/a%2bb(c)", "/a%2bb(c)"},
		{"$ü.js", "/$%C3%bc", "/$%C3%bc"},
		{"a b.js", "/a%20b", "/a%20b"},
		{"x]y.js", "/x]y", "/x]y"},
	} {
		routes, err := functions.Scan(folder(t, c.file))
		if err != nil || len(routes) != 1 {
			t.Fatalf("%s: %v %v", c.file, routes, err)
		}
		source, err := functions.Source(routes)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(source, "const ROUTES = ")
		var list []struct {
			Path string `json:"path"`
		}
		if err := json.NewDecoder(strings.NewReader(rest)).Decode(&list); err != nil {
			t.Fatal(err)
		}
		re := regexp.MustCompile("(?i)" + regexp.MustCompile(`\\u([0-9a-f]{4})`).ReplaceAllString(list[0].Path, `\x{$1}`))
		if got := strings.Join(re.FindStringSubmatch(c.path), " "); got != c.want {
			t.Errorf("%s on %s: %q, want %q (%s)", c.file, c.path, got, c.want, list[0].Path)
		}
	}
}

package assets_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/selvage-dev/selvage/internal/assets"
)

const someHash = "56638d01375d9d28c49e281774cfd32f"

func errorsAs[T error](err error) (T, bool) {
	var target T
	return target, errors.As(err, &target)
}

func TestManifest(t *testing.T) {
	t.Parallel()
	entry := func(path string) string { return fmt.Sprintf(`%q:{"hash":%q,"size":1}`, path, someHash) }
	for _, c := range []struct {
		name, text string
		limits     assets.Limits
		kind       error
	}{
		{"good", "{" + entry("/a") + "," + entry("/b/c d/ü.html") + "}", assets.Limits{}, nil},
		{"empty", "{}", assets.Limits{}, nil},
		{"dots in names", "{" + entry("/..a/b../...") + "}", assets.Limits{}, nil},
		{"extra field", `{"/a":{"hash":"` + someHash + `","size":1,"new":[1]}}`, assets.Limits{}, nil},
		{"too many", "{" + entry("/a") + "," + entry("/b") + "}", assets.Limits{Files: 1}, assets.ErrTooManyFiles},
		{"twice", "{" + entry("/a") + "," + entry("/a") + "}", assets.Limits{}, assets.ErrPath},
		{"relative", "{" + entry("a") + "}", assets.Limits{}, assets.ErrPath},
		{"no path", "{" + entry("") + "}", assets.Limits{}, assets.ErrPath},
		{"root", "{" + entry("/") + "}", assets.Limits{}, assets.ErrPath},
		{"folder", "{" + entry("/a/") + "}", assets.Limits{}, assets.ErrPath},
		{"up", "{" + entry("/a/../b") + "}", assets.Limits{}, assets.ErrPath},
		{"up at the end", "{" + entry("/a/..") + "}", assets.Limits{}, assets.ErrPath},
		{"dot", "{" + entry("/./b") + "}", assets.Limits{}, assets.ErrPath},
		{"two slashes", "{" + entry("//b") + "}", assets.Limits{}, assets.ErrPath},
		{"NUL", `{"/a\u0000":{"hash":"` + someHash + `","size":1}}`, assets.Limits{}, assets.ErrPath},
		{"backslash", `{"/a\\b":{"hash":"` + someHash + `","size":1}}`, assets.Limits{}, assets.ErrPath},
		{"long", "{" + entry("/"+strings.Repeat("a", 1024)) + "}", assets.Limits{}, assets.ErrPath},
		{"big", `{"/a":{"hash":"` + someHash + `","size":26214401}}`, assets.Limits{}, assets.ErrFileTooLarge},
		{"negative", `{"/a":{"hash":"` + someHash + `","size":-1}}`, assets.Limits{}, assets.ErrFileTooLarge},
		{"short hash", `{"/a":{"hash":"56","size":1}}`, assets.Limits{}, assets.ErrHash},
		{"other hash", `{"/a":{"hash":"56638D01375D9D28C49E281774CFD32F","size":1}}`, assets.Limits{}, assets.ErrHash},
		{"content type", `{"/a":{"hash":"` + someHash + `","size":1,"content_type":"a\r\nb"}}`, assets.Limits{}, assets.ErrContentType},
		{"float", `{"/a":{"hash":"` + someHash + `","size":1.5}}`, assets.Limits{}, assets.ErrSyntax},
		{"array", `[]`, assets.Limits{}, assets.ErrSyntax},
		{"null", `null`, assets.Limits{}, assets.ErrSyntax},
		{"cut", `{"/a":`, assets.Limits{}, assets.ErrSyntax},
		{"nothing", ``, assets.Limits{}, assets.ErrSyntax},
		{"no JSON", `{"/a" 1}`, assets.Limits{}, assets.ErrSyntax},
	} {
		m, err := assets.DecodeManifest(strings.NewReader(c.text), c.limits)
		if !errors.Is(err, c.kind) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.kind)
			continue
		}
		if c.kind != nil {
			if e, ok := errorsAs[*assets.ManifestError](err); !ok || len(e.Error()) > 600 {
				t.Errorf("%s: error %v is no short ManifestError", c.name, err)
			}
			continue
		}
		data, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := assets.DecodeManifest(strings.NewReader(string(data)), assets.Limits{})
		if diff := cmp.Diff(m, again); err != nil || diff != "" {
			t.Errorf("%s: %v, encoded and decoded (-want +got)\n%s", c.name, err, diff)
		}
	}
	broken := errors.New("broken pipe")
	if _, err := assets.DecodeManifest(iotest.ErrReader(broken), assets.Limits{}); !errors.Is(err, broken) {
		t.Errorf("error %v, want the reader's", err)
	}
}

func TestConfigJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]assets.RunWorkerFirst{
		`{}`:                          {},
		`{"run_worker_first":null}`:   {},
		`{"run_worker_first":false}`:  {},
		`{"run_worker_first":true}`:   {Always: true},
		`{"run_worker_first":["/a"]}`: {Patterns: []string{"/a"}},
	} {
		var c assets.Config
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var again assets.Config
		if err := json.Unmarshal(data, &again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, again.RunWorkerFirst); diff != "" {
			t.Errorf("%s → %s: (-want +got)\n%s", text, data, diff)
		}
	}
	var c assets.Config
	if err := json.Unmarshal([]byte(`{"run_worker_first":1}`), &c); err == nil {
		t.Error("no error for a number")
	}
}

func TestNavigationPrefersAssets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		date string
		flag string
		want bool
	}{
		{"2025-03-31", "", false},
		{"2025-04-01", "", true},
		{"2025-04-01", "assets_navigation_has_no_effect", false},
		{"2024-01-01", "assets_navigation_prefers_asset_serving", true},
		{"", "", false},
	} {
		if got := assets.NavigationPrefersAssets(c.date, []string{"nodejs_compat", c.flag}); got != c.want {
			t.Errorf("%s %s: %v", c.date, c.flag, got)
		}
	}
}

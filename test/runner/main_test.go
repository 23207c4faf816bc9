package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestTally(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     counts
		problem  string
	}{
		{"passes", `{"Action":"pass","Package":"p","Test":"TestA"}` + "\n" + `{"Action":"pass","Package":"p"}`, counts{passed: 1}, ""},
		{"failure", `{"Action":"fail","Package":"p","Test":"TestA"}`, counts{failed: 1}, "p TestA failed"},
		{"a package that does not build", `{"Action":"fail","Package":"p"}`, counts{}, "p  failed"},
		{"a skip for a known reason", `{"Action":"output","Package":"p","Test":"TestConfigBySchema","Output":"no capnp tool on this machine; x"}` + "\n" + `{"Action":"skip","Package":"p","Test":"TestConfigBySchema"}`, counts{skipped: 1}, ""},
		{"a skip for another reason", `{"Action":"output","Package":"p","Test":"TestConfigBySchema","Output":"no time"}` + "\n" + `{"Action":"skip","Package":"p","Test":"TestConfigBySchema"}`, counts{skipped: 1}, "not on the list"},
		{"a skip nobody allowed", `{"Action":"output","Package":"p","Test":"TestA","Output":"no docker"}` + "\n" + `{"Action":"skip","Package":"p","Test":"TestA"}`, counts{skipped: 1}, "not on the list"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := tally(strings.NewReader(c.in), io.Discard, &strings.Builder{}, &packages{})
			if got != c.want {
				t.Errorf("counts = %+v, want %+v", got, c.want)
			}
			if (err == nil) != (c.problem == "") || (err != nil && !strings.Contains(err.Error(), c.problem)) {
				t.Errorf("error = %v, want one with %q", err, c.problem)
			}
		})
	}
}

func TestEveryPartHasAFloor(t *testing.T) {
	for _, p := range slices.Concat(parts(), longParts()) {
		if p.min < 1 {
			t.Errorf("part %q passes when nothing ran", p.name)
		}
	}
}

func TestSlowPackages(t *testing.T) {
	in := `{"Action":"pass","Package":"quick","Elapsed":1}` + "\n" + `{"Action":"pass","Package":"slow","Elapsed":20}` + "\n" +
		`{"Action":"fail","Package":"slower","Elapsed":30.25}` + "\n" + `{"Action":"pass","Package":"slow","Test":"TestA","Elapsed":99}`
	var slow packages
	_, _ = tally(strings.NewReader(in), io.Discard, &strings.Builder{}, &slow)
	var out strings.Builder
	slow.print(&out)
	if want := "  30.2 s  slower\n  20.0 s  slow\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestFuzzTargetsAreFound(t *testing.T) {
	files, err := testFiles("../..")
	if err != nil || len(files) < 50 {
		t.Errorf("%d test files, %v", len(files), err)
	}
}

func TestWhatPassingTestsLogIsKept(t *testing.T) {
	in := `{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:12: 40 rounds, 0 lost\n"}` + "\n" + `{"Action":"pass","Package":"p","Test":"TestA","Elapsed":2}`
	var log strings.Builder
	if _, err := tally(strings.NewReader(in), io.Discard, &log, &packages{}); err != nil {
		t.Fatal(err)
	}
	if want := "- `TestA` (2 s): 40 rounds, 0 lost\n"; log.String() != want {
		t.Errorf("log = %q, want %q", log.String(), want)
	}
}

// TestNoticeListsWhatIsLinked keeps NOTICE true: the release binary may not carry
// a module whose licence it does not name, and names none that it does not carry.
func TestNoticeListsWhatIsLinked(t *testing.T) {
	top := filepath.Join("..", "..")
	notice, err := os.ReadFile(filepath.Join(top, "NOTICE"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(filepath.Join(top, "go.mod")); err != nil { // what the test's cached result depends on
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}", "./cmd/selvage")
	cmd.Dir = top
	cmd.Env = append(os.Environ(), "GOOS=linux")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := strings.Fields(string(out))
	slices.Sort(linked)
	linked = slices.Compact(linked)
	var listed []string
	for _, m := range regexp.MustCompile(`(?m)^  (\S+\.\S+/\S+)  +[A-Z]`).FindAllStringSubmatch(string(notice), -1) {
		listed = append(listed, m[1])
	}
	if !slices.Equal(listed, linked) {
		t.Errorf("NOTICE lists\n%q, linked are\n%q", listed, linked)
	}
}

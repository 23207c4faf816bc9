package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/cli"
)

// TestBuildCommand holds that a deploy runs the build command first, and what of it
// fails the deploy.
func TestBuildCommand(t *testing.T) {
	for _, c := range []struct {
		name, build string
		args        []string
		code        int
		want        []string // in stderr
	}{
		{"makes the entry point", `{"command": "mkdir -p out && echo \"export default { fetch() { return new Response('x') } }\" > out/index.js && echo made $WRANGLER_COMMAND && echo loud >&2"}`, nil, 0, []string{"[custom build] Running: mkdir", "[custom build] made deploy\n", "[custom build] loud\n"}},
		{"in a folder", `{"command": "pwd > where; mkdir -p ../out; echo 'export default {}' > ../out/index.js", "cwd": "sub"}`, nil, 0, nil},
		{"fails", `{"command": "echo before; exit 3"}`, nil, 1, []string{"[custom build] before\n", "exited with code 3", "nothing was deployed"}},
		{"makes nothing", `{"command": "true"}`, nil, 1, []string{`"main"`, "is not there"}},
		{"left out", `{"command": "echo ran"}`, []string{"--skip-build"}, 1, []string{"index.js"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			config := `{"name": "b", "main": "out/index.js", "compatibility_date": "2026-09-01", "build": ` + c.build + `}`
			if err := os.WriteFile(filepath.Join(dir, "wrangler.json"), []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
				t.Fatal(err)
			}
			r := run(t, append([]string{"deploy", "--dry-run"}, c.args...)...)
			stderr := r.stderr
			if r.code != c.code {
				t.Errorf("code %d, want %d\n%s\n%s", r.code, c.code, r.stdout, stderr)
			}
			for _, want := range c.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("%q is not in %s", want, stderr)
				}
			}
			if strings.Contains(stderr, "[custom build] ran") {
				t.Error("--skip-build ran it")
			}
			if _, err := os.Stat(filepath.Join(dir, "sub", "where")); (err == nil) != (c.name == "in a folder") {
				t.Errorf("the command ran elsewhere: %v", err)
			}
		})
	}
}

// TestBuildCommandIsCalledOff holds that a deploy that is called off ends its build
// command and what that has started.
func TestBuildCommandIsCalledOff(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("wrangler.json", []byte(`{"name": "b", "main": "index.js", "compatibility_date": "2026-09-01", "build": {"command": "echo up; sleep 60 & sleep 60"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	begun := time.Now()
	code := cli.Run(ctx, cli.Process{Args: []string{"deploy", "--dry-run"}, Environ: environ(dir), Stdout: &out, Stderr: &out})
	if code == 0 || time.Since(begun) > 20*time.Second {
		t.Errorf("code %d after %v: %s", code, time.Since(begun), &out)
	}
}

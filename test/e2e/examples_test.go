package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/examples"
)

// TestExamples writes the guide's patterns and workflows with "selvage new", deploys them by the
// commands that their READMEs give, as they stand there, and runs their own tests against
// what they deployed.
func TestExamples(t *testing.T) {
	t.Parallel()
	p := start(t)
	worker := func(name string) string { return "http://" + p.host(name) + ":" + p.edgePort(t) }
	site := func(name string) string { return "http://" + p.pagesHost("", name) + ":" + p.edgePort(t) }
	for name, env := range map[string]map[string]string{
		"1":          {"SITE": site("pattern1-site"), "API": worker("pattern1-api"), "API_TOKEN": "a-token-of-the-tests"},
		"2":          {"URL": worker("pattern2-database")},
		"3":          {"URL": worker("pattern3-search")},
		"workflow-1": {"SITE": site("workflow1-site"), "API": worker("workflow1-api")},
		"workflow-2": {"SITE": site("workflow2-search"), "ADMIN_TOKEN": "a-token-of-the-tests"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "app")
			if _, stderr, code := p.cli(t, "new", "--pattern", name, dir); code != 0 {
				t.Fatalf("selvage new: %d %s", code, stderr)
			}
			p.shell(t, dir, shellBlock(t, filepath.Join(dir, "README.md")), env)
			p.shell(t, dir, "node --test", env)
			if name == "2" { // as its CI file does
				p.shell(t, dir, "npm run deploy && npm test", env)
			}
		})
	}
	if len(examples.Apps()) != 5 {
		t.Error("not every app is deployed here")
	}
}

// edgePort is where the platform's sites and workers answer.
func (p *platform) edgePort(t *testing.T) string {
	t.Helper()
	addr := p.edgeAddr(t)
	return addr[strings.LastIndex(addr, ":")+1:]
}

// shellBlock returns the first block of shell commands of a README.
func shellBlock(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```sh\n")
	block, _, closed := strings.Cut(rest, "```\n")
	if !ok || !closed {
		t.Fatalf("%s has no block of shell commands", name)
	}
	return block
}

// shell runs commands as a user's shell would in dir, with "selvage" and "npx wrangler" being ours.
func (p *platform) shell(t *testing.T, dir, commands string, env map[string]string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	tools := t.TempDir()
	for name, script := range map[string]string{
		"selvage":  fmt.Sprintf("#!/bin/sh\nexec %q \"$@\" --data %q\n", binary(t), p.data),
		"wrangler": fmt.Sprintf("#!/bin/sh\nexec node %q \"$@\"\n", filepath.Join(repo(t), "tools", "node_modules", "wrangler", "bin", "wrangler.js")),
		"npx":      fmt.Sprintf("#!/bin/sh\n[ \"$1\" = wrangler ] || exit 127\nshift\nexec node %q \"$@\"\n", filepath.Join(repo(t), "tools", "node_modules", "wrangler", "bin", "wrangler.js")),
	} {
		if err := os.WriteFile(filepath.Join(tools, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(ctx, "bash", "-e", "-o", "pipefail", "-c", commands)
	cmd.Dir = dir
	cmd.Env = p.wranglerEnv(t)
	cmd.Env[0] = "PATH=" + tools + ":" + strings.TrimPrefix(cmd.Env[0], "PATH=")
	for _, key := range slices.Sorted(maps.Keys(env)) {
		cmd.Env = append(cmd.Env, key+"="+env[key])
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\nplatform:\n%s", err, out, tail(p.stderr.String(), 3000))
	}
}

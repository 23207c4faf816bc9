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
)

// TestExamples deploys the guide's patterns and workflows by the commands that their READMEs
// give, as they stand there, and runs their own tests against what they deployed.
func TestExamples(t *testing.T) {
	t.Parallel()
	p := start(t)
	worker := func(name string) string { return "http://" + p.host(name) + ":" + p.edgePort(t) }
	site := func(name string) string { return "http://" + p.pagesHost("", name) + ":" + p.edgePort(t) }
	for name, env := range map[string]map[string]string{
		"pattern-1-site-and-api":       {"SITE": site("pattern1-site"), "API": worker("pattern1-api"), "API_TOKEN": "a-token-of-the-tests"},
		"pattern-2-database":           {"URL": worker("pattern2-database")},
		"pattern-3-semantic-search":    {"URL": worker("pattern3-search")},
		"workflow-2-vector-search":     {"SITE": site("workflow2-search"), "ADMIN_TOKEN": "a-token-of-the-tests"},
		"workflow-1-site-api-database": {"SITE": site("workflow1-site"), "API": worker("workflow1-api")},
	} {
		t.Run(name, func(t *testing.T) {
			dir := p.example(t, name)
			commands := shellBlock(t, filepath.Join(dir, "README.md"))
			p.shell(t, dir, commands, env)
			p.shell(t, dir, "node --test", env)
		})
	}
}

// edgePort is where the platform's sites and workers answer.
func (p *platform) edgePort(t *testing.T) string {
	t.Helper()
	addr := p.edgeAddr(t)
	return addr[strings.LastIndex(addr, ":")+1:]
}

// example copies an example, and what the examples share, to a fresh folder: wrangler keeps files
// beside a project.
func (p *platform) example(t *testing.T, name string) string {
	t.Helper()
	from, to := filepath.Join(repo(t), "examples"), t.TempDir()
	if err := os.CopyFS(filepath.Join(to, name), os.DirFS(filepath.Join(from, name))); err != nil {
		t.Fatal(err)
	}
	shared, err := os.ReadFile(filepath.Join(from, "ask.mjs"))
	if err == nil {
		err = os.WriteFile(filepath.Join(to, "ask.mjs"), shared, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(to, name)
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
		"selvage": fmt.Sprintf("#!/bin/sh\nexec %q \"$@\" --data %q\n", binary(t), p.data),
		"npx":     fmt.Sprintf("#!/bin/sh\n[ \"$1\" = wrangler ] || exit 127\nshift\nexec node %q \"$@\"\n", filepath.Join(repo(t), "tools", "node_modules", "wrangler", "bin", "wrangler.js")),
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

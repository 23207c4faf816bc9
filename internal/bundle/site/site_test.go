package site_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/bundle/site"
)

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestEnvironments(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"wrangler.jsonc": `{"name":"s","pages_build_output_dir":"out","compatibility_date":"2026-01-01","vars":{"V":"top"},
			"env":{"preview":{"vars":{"V":"pre"},"compatibility_flags":["nodejs_compat"]}}}`,
		"out/index.html":   "x",
		"functions/a.js":   "export const onRequestGet = () => new Response('a')",
		"functions/lib.js": "export const x = 1",
	})
	for env, want := range map[string]string{"production": "top", "preview": "pre"} {
		s, err := site.Read(t.Context(), site.Options{Dir: dir, Environment: env})
		if err != nil {
			t.Fatal(err)
		}
		m, err := s.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if s.Config.Name != "s" || !strings.Contains(string(text), `"text":"`+want+`"`) || s.Output != filepath.Join(dir, "out") || s.ConfigHash == "" {
			t.Errorf("%s: %s of %s: %s", env, s.Output, s.Config.Name, text)
		}
		if !strings.Contains(s.Routes, `"/a"`) || !strings.HasPrefix(s.Code.Main.Name, "functionsWorker-") {
			t.Errorf("%s: routes %s, main %s", env, s.Routes, s.Code.Main.Name)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"name":"s","pages_build_output_dir":"out","main":"x.js"}`:                                                                             `cannot have "main"`,
		`{"pages_build_output_dir":"out"}`:                                                                                                      `no "name"`,
		`{"name":"s","pages_build_output_dir":"out","env":{"staging":{}}}`:                                                                      `environment "staging"`,
		`{"name":"s","pages_build_output_dir":"out","durable_objects":{"bindings":[{"name":"O","class_name":"C"}]}}`:                            `no "script_name"`,
		`{"name":"s","pages_build_output_dir":"out","queues":{"consumers":[{"queue":"q"}]}}`:                                                    "queues.consumers",
		`{"name":"s","pages_build_output_dir":"nowhere"}`:                                                                                       "is no folder",
		`{"name":"s","pages_build_output_dir":"out","kv_namespaces":[{"binding":"KV"}]}`:                                                        `the binding KV has no`,
		`{"name":"s","pages_build_output_dir":"out","migrations":[{"tag":"v1","new_sqlite_classes":["C"]}],"triggers":{"crons":["* * * * *"]}}`: `cannot have "migrations", "triggers"`,
	} {
		s, err := site.Read(t.Context(), site.Options{Dir: folder(t, map[string]string{"wrangler.json": text, "out/_worker.js": "export default {}"})})
		if err == nil {
			_, err = s.Metadata()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// TestOfAWorker finds a wrangler file that says nothing about a site.
func TestOfAWorker(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"wrangler.toml": "name = \"w\"\nmain = \"x.js\"\n", "out/index.html": "x"})
	if _, err := site.Read(t.Context(), site.Options{Dir: dir}); !errors.Is(err, site.ErrNoOutput) {
		t.Errorf("without a folder: %v", err)
	}
	s, err := site.Read(t.Context(), site.Options{Dir: dir, Output: filepath.Join(dir, "out")})
	if err != nil || s.Config != nil || len(s.Warnings) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestWorkerFolder keeps the scripts of a _worker.js folder as modules, as wrangler does.
func TestWorkerFolder(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"out/_worker.js/index.js": `import { a } from "./sub/a.js"; export default { fetch: async () => new Response(a + (await import("./b.mjs")).b) }`,
		"out/_worker.js/sub/a.js": "export const a = 1", "out/_worker.js/b.mjs": "export const b = 2", "out/_worker.js/notes.txt": "x",
		"functions/f.js": "export const onRequest = 1",
	})
	s, err := site.Read(t.Context(), site.Options{Dir: dir, Output: filepath.Join(dir, "out")})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range s.Code.Modules {
		names = append(names, m.Name)
	}
	if got := strings.Join(names, " "); s.Code.Main.Name != "index.js" || !strings.Contains(got, "sub/a.js") || !strings.Contains(got, "b.mjs") {
		t.Errorf("main %s, modules %s", s.Code.Main.Name, got)
	}
	if len(s.Warnings) == 0 || !strings.Contains(s.Warnings[0], "only the former") {
		t.Errorf("warnings %q", s.Warnings)
	}
}

// TestMounts imports a folder: its path in the site is that of its contents.
func TestMounts(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"out/index.html": "x", "functions/p/_middleware.js": `export { onRequest } from "assets:../../static"`, "static/a.css": "a{}",
	}
	read := func() string {
		t.Helper()
		dir := folder(t, files)
		s, err := site.Read(t.Context(), site.Options{Dir: dir, Output: filepath.Join(dir, "out")})
		if err != nil || len(s.Mounts) != 1 {
			t.Fatalf("%v, %v", s, err)
		}
		for at, from := range s.Mounts {
			if from != filepath.Join(dir, "static") || !strings.Contains(string(s.Code.Main.Content), "/"+at) {
				t.Errorf("%s is %s\n%s", at, from, s.Code.Main.Content)
			}
			return at
		}
		return ""
	}
	first := read()
	if again := read(); again != first {
		t.Errorf("the same files are at %s and at %s", first, again)
	}
	files["static/a.css"] = "b{}"
	if other := read(); other == first {
		t.Errorf("other files are at %s too", first)
	}
}

func TestPack(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"web/wrangler.json": `{"name":"s","pages_build_output_dir":"out","vars":{"V":"x"}}`, "web/out/_worker.js": "export default {}",
	})
	s, err := site.Read(t.Context(), site.Options{Dir: filepath.Join(dir, "web")})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Pack(dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	got, err := site.Unpack(text)
	if err != nil || got.Output != "web/out" || !got.Code || got.Metadata["main_module"] != "_worker.js" || got.Vars["V"] != "x" || got.ConfigHash != s.ConfigHash {
		t.Errorf("%+v, %v", got, err)
	}
	var bad *site.Error
	if _, err := s.Pack(filepath.Join(dir, "other")); !errors.As(err, &bad) {
		t.Errorf("a folder outside: %v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte(`{"output":"a","code":true,"modules":[{"name":"m","kind":"esm","content":"YQ=="}]}`))
	f.Add([]byte(`{"output":"../a"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := site.Unpack(text)
		if err != nil {
			return
		}
		if p.Output != "" && !filepath.IsLocal(p.Output) {
			t.Errorf("the folder %q", p.Output)
		}
		if p.Code && (len(p.Modules) == 0 || p.Metadata["main_module"] != p.Modules[0].Name) {
			t.Errorf("code without a main module: %+v", p)
		}
	})
}

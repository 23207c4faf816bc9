package bundle_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/selvage-dev/selvage/internal/bundle"
)

// write makes a project and returns its folder.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// options are those of a project whose entry point is index with some extension.
func options(dir string) bundle.Options {
	o := bundle.Options{Root: dir, CompatibilityDate: "2026-11-01", SourceMaps: true}
	for _, name := range []string{"index.ts", "index.tsx", "index.js", "src/index.ts"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			o.Main = filepath.Join(dir, name)
		}
	}
	return o
}

func build(t *testing.T, o bundle.Options) *bundle.Result {
	t.Helper()
	r, err := bundle.Build(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const handler = "export default { fetch() { return new Response(String(x)); } };"

func names(modules []bundle.Module) []string {
	var out []string
	for _, m := range modules {
		out = append(out, m.Name+" "+string(m.Kind))
	}
	return out
}

func TestModulesKeepTheirKindAndHash(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"index.ts":                "import a from './a.txt'; import b from './b.bin'; import c from './c.wasm?module'; import d from 'pkg/d.html'; const x = [a,b,c,d];" + handler,
		"a.txt":                   "hello\n",
		"b.bin":                   "\x00\x01",
		"c.wasm":                  "\x00asm",
		"node_modules/pkg/d.html": "<p>",
		// Its exports hide the file, which counts for code only.
		"node_modules/pkg/package.json": `{"name":"pkg","exports":{".":"./d.js"}}`,
	})
	r := build(t, options(dir))
	// The hash is the SHA-1 of the content, as sha1sum prints it.
	want := []string{
		"./1340712d77d3db3c79b4b0c1494df18615485480-c.wasm compiled-wasm",
		"./3f29546453678b855931c174a97d6c0894b8f546-b.bin buffer",
		"./63ada55c0ba212a5b1f8d5a70890788f00972bf4-d.html text",
		"./f572d396fae9206628714fb2ce00f72e94f2258f-a.txt text",
	}
	if d := cmp.Diff(want, names(r.Modules)); d != "" {
		t.Error(d)
	}
	for _, m := range r.Modules {
		if !strings.Contains(string(r.Main.Content), `"`+m.Name+`"`) {
			t.Errorf("the script does not import %s:\n%s", m.Name, r.Main.Content)
		}
	}
	if r.Main.Name != "index.js" || r.Main.Kind != bundle.ESModule || r.ServiceWorker {
		t.Errorf("main is %s, %s", r.Main.Name, r.Main.Kind)
	}
	if len(r.SourceMaps) != 1 || r.SourceMaps[0].Name != "index.js.map" || !strings.Contains(string(r.SourceMaps[0].Content), `"sources":["index.ts"]`) {
		t.Errorf("source maps %v", names(r.SourceMaps))
	}
}

func TestTypeScriptJSXPathsAliasDefine(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"tsconfig.json": `{ "compilerOptions": { "paths": { "@/*": ["./lib/*"] }, "jsx": "react", "jsxFactory": "h" } }`,
		"index.tsx":     "import { h } from '@/h'; import gone from 'gone'; import fs from 'fs-like'; declare const BUILD: string; const x: unknown = [<p id='a'>hi</p>, gone, fs, BUILD, process.env.NODE_ENV];" + handler,
		"lib/h.ts":      "export const h = (name: string, ...rest: unknown[]) => [name, rest];",
		"stand-in.js":   "export default 'STAND-IN';",
	})
	o := options(dir)
	o.Alias = map[string]string{"gone": "./stand-in.js", "fs-like": "node:fs"}
	o.NodeEnv = "staging"
	o.Define = map[string]string{"BUILD": `"build-7"`}
	text := string(build(t, o).Main.Content)
	for _, want := range []string{"STAND-IN", "build-7", `"staging"`, `from "node:fs"`, `h("p"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the script lacks %s:\n%s", want, text)
		}
	}
}

func TestStyleSheetIsLeftOut(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"index.js": "import './a.css'; const x = 1;" + handler, "a.css": "p { color: red }"})
	r := build(t, options(dir))
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "index.css") || len(r.SourceMaps) != 1 || len(r.Modules) != 0 {
		t.Errorf("%q, %v", r.Warnings, names(r.SourceMaps))
	}
}

func TestServiceWorker(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"index.js": "import page from './p.html'; addEventListener('fetch', (e) => e.respondWith(new Response(page)));",
		"p.html":   "<p>",
	})
	r := build(t, options(dir))
	if !r.ServiceWorker || r.Main.Kind != bundle.CommonJS || len(r.Modules) != 1 {
		t.Fatalf("%v %s %v", r.ServiceWorker, r.Main.Kind, names(r.Modules))
	}
	if name := bundle.GlobalName(r.Modules[0].Name); !strings.Contains(string(r.Main.Content), name) {
		t.Errorf("the script does not use the global %s:\n%s", name, r.Main.Content)
	}
	rewrite := write(t, map[string]string{"index.js": "import fs from 'node:fs'; addEventListener('fetch', () => fs);"})
	if _, err := bundle.Build(t.Context(), options(rewrite)); err == nil || !strings.Contains(err.Error(), "no default export") {
		t.Errorf("an import of the runtime in a service worker: %v", err)
	}
}

func TestNode(t *testing.T) {
	t.Parallel()
	source := func(imports string) string { return imports + "; const x = m;" + handler }
	for _, c := range []struct {
		name, source, date string
		flags              []string
		want, fails, warns string
	}{
		{name: "native", source: source("import m from 'node:fs'"), date: "2026-11-01", want: `from "node:fs"`},
		{name: "bare", source: source("import m from 'fs/promises'"), date: "2026-11-01", want: `from "fs/promises"`},
		{name: "require", source: source("const m = require('path')"), date: "2026-11-01", want: `import libDefault from "path"`},
		{name: "shim", source: source("import m from 'node-fetch'"), date: "2026-11-01", want: "globalThis.fetch"},
		{name: "by flag", source: source("import m from 'fs'"), date: "2025-06-01", flags: []string{"nodejs_compat", "enable_nodejs_fs_module"}, want: `from "fs"`},
		{name: "too old", source: source("import m from 'fs'"), date: "2025-06-01", flags: []string{"nodejs_compat"}, fails: `"fs" is part of the runtime from the compatibility date 2025-09-15 on`},
		{name: "off", source: source("import m from 'fs'"), date: "2026-11-01", flags: []string{"no_nodejs_compat", "no_nodejs_compat_v2"}, fails: `add the compatibility flag "nodejs_compat"`},
		{name: "off with prefix", source: source("import m from 'node:fs'"), date: "2024-01-01", want: `from "node:fs"`, warns: `index.js imports "node:fs"`},
		{name: "v1 bare", source: source("import m from 'fs'"), date: "2024-01-01", flags: []string{"nodejs_compat"}, fails: `write "node:fs"`},
		{name: "als", source: source("import m from 'node:async_hooks'"), date: "2024-01-01", flags: []string{"nodejs_als"}, want: `from "node:async_hooks"`},
		{name: "no such", source: source("import m from 'node:nothing'"), date: "2026-11-01", fails: `Could not resolve "node:nothing"`},
		{name: "cloudflare", source: source("import * as m from 'cloudflare:workers'"), date: "2026-11-01", want: `from "cloudflare:workers"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := options(write(t, map[string]string{"index.js": c.source}))
			o.CompatibilityDate, o.CompatibilityFlags = c.date, c.flags
			r, err := bundle.Build(t.Context(), o)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) || !strings.Contains(err.Error(), "index.js:1:") {
					t.Fatalf("err = %v, want %q with its place", err, c.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(r.Main.Content), c.want) {
				t.Errorf("the script lacks %s:\n%s", c.want, r.Main.Content)
			}
			if got := strings.Join(r.Warnings, "\n"); (c.warns == "") != (got == "") || !strings.Contains(got, c.warns) {
				t.Errorf("warnings %q, want %q", got, c.warns)
			}
		})
	}
}

func TestOldDatesTakeInstalledReplacements(t *testing.T) {
	t.Parallel()
	o := options(write(t, map[string]string{
		"index.js":                                                       "import m from 'node:fs'; const x = [m, process.version];" + handler,
		"node_modules/unenv/package.json":                                `{"name":"unenv","exports":{"./node/*":"./node/*.mjs"}}`,
		"node_modules/unenv/node/fs.mjs":                                 "export default 'UNENV-FS';",
		"node_modules/@cloudflare/unenv-preset/package.json":             `{"name":"@cloudflare/unenv-preset","exports":{"./node/*":"./node/*.mjs","./polyfill/*":"./polyfill/*.mjs"}}`,
		"node_modules/@cloudflare/unenv-preset/node/process.mjs":         "export default { version: 'PRESET' };",
		"node_modules/@cloudflare/unenv-preset/node/console.mjs":         "export default globalThis.console;",
		"node_modules/@cloudflare/unenv-preset/polyfill/performance.mjs": "globalThis.performance ??= {};",
	}))
	o.CompatibilityDate, o.CompatibilityFlags = "2025-06-01", []string{"nodejs_compat"}
	text := string(build(t, o).Main.Content)
	for _, want := range []string{"UNENV-FS", "PRESET", "globalThis.process ="} {
		if !strings.Contains(text, want) {
			t.Errorf("the script lacks %s:\n%s", want, text)
		}
	}
}

func TestAdditionalModules(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"src/index.ts":   "const x = await import('./lazy/' + 'a.js');" + handler,
		"src/lazy/a.js":  "export default 1;",
		"src/lazy/b.txt": "b",
		"src/skip.json":  "{}",
	}
	o := options(write(t, files))
	yes := true
	o.FindAdditionalModules, o.Rules = &yes, []bundle.Rule{{Type: "ESModule", Globs: []string{"**/*.js"}}}
	want := []string{"lazy/a.js esm", "lazy/b.txt text"}
	if d := cmp.Diff(want, names(build(t, o).Modules)); d != "" {
		t.Error(d)
	}
	o = options(write(t, files))
	o.NoBundle, o.Rules = true, []bundle.Rule{{Type: "ESModule", Globs: []string{"lazy/*.js"}}}
	r := build(t, o)
	if d := cmp.Diff(want, names(r.Modules)); d != "" {
		t.Error(d)
	}
	if string(r.Main.Content) != files["src/index.ts"] || r.Main.Name != "index.ts" {
		t.Errorf("no_bundle changed the entry point %s:\n%s", r.Main.Name, r.Main.Content)
	}
}

func TestRulesShadow(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"index.js": "import x from './a.txt';" + handler, "a.txt": "a", "a.md": "b"})
	o := options(dir)
	o.Rules = []bundle.Rule{{Type: "Text", Globs: []string{"**/*.md"}}}
	if _, err := bundle.Build(t.Context(), o); err == nil || !strings.Contains(err.Error(), "fallthrough") {
		t.Errorf("a shadowed rule: %v", err)
	}
	through := true
	o.Rules[0].Fallthrough = &through
	if got := names(build(t, o).Modules); len(got) != 1 {
		t.Errorf("modules %v", got)
	}
	o.Rules = []bundle.Rule{{Type: "Picture", Globs: []string{"*"}}}
	if _, err := bundle.Build(t.Context(), o); err == nil || !strings.Contains(err.Error(), `"Picture"`) {
		t.Errorf("an unknown rule: %v", err)
	}
	o = options(dir)
	o.PreserveFileNames = true
	if got := names(build(t, o).Modules); !slices.Equal(got, []string{"./a.txt text"}) {
		t.Errorf("preserved names: %v", got)
	}
}

func TestBadProjects(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		main  string
		wants []string
	}{
		"syntax":           {map[string]string{"index.js": "export default {\n  fetch( { }\n"}, "index.js", []string{"index.js:3:", "Expected"}},
		"missing main":     {map[string]string{"other.js": ""}, "index.js", []string{"index.js was not found"}},
		"folder":           {map[string]string{"index.js/a": ""}, "index.js", []string{"is a folder"}},
		"python":           {map[string]string{"main.py": ""}, "main.py", []string{"Python"}},
		"missing package":  {map[string]string{"index.js": "import x from 'left-pad';" + handler}, "index.js", []string{`Could not resolve "left-pad"`, "index.js:1:", "installed"}},
		"missing export":   {map[string]string{"index.js": handler}, "index.js", []string{"Counter", "does not export"}},
		"missing text":     {map[string]string{"index.js": "import x from './no.txt';" + handler}, "index.js", []string{"./no.txt", "index.js:1:"}},
		"alias to nothing": {map[string]string{"index.js": "import x from 'aliased';" + handler}, "index.js", []string{"nowhere"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, c.files)
			o := options(dir)
			o.Main = filepath.Join(dir, c.main)
			o.Alias = map[string]string{"aliased": "./nowhere.js"}
			if name == "missing export" {
				o.Objects = []string{"Counter"}
			}
			_, err := bundle.Build(t.Context(), o)
			if _, ok := errors.AsType[*bundle.Error](err); !ok {
				t.Fatalf("err = %v", err)
			}
			for _, want := range c.wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q:\n%v", want, err)
				}
			}
		})
	}
}

func TestTrace(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"src/index.ts": "import { boom } from './boom';\nboom();\nexport default { fetch() { return new Response(''); } };\n",
		"src/boom.ts":  "interface A { a: string }\n\nexport function boom(): A {\n  throw new Error('at start');\n}\n",
	})
	r := build(t, options(dir))
	line := 0
	for i, text := range strings.Split(string(r.Main.Content), "\n") {
		if strings.Contains(text, "throw new Error") {
			line = i + 1
		}
	}
	got := bundle.Trace("Error: at start\n    at index.js:"+itoa(line)+":9 in boom\n    at index.js:9999:1", r.SourceMaps)
	if !strings.Contains(got, "at src/boom.ts:4:") || !strings.Contains(got, "index.js:9999:1") {
		t.Errorf("trace %q", got)
	}
}

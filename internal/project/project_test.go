package project_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/selvage-dev/selvage/internal/project"
)

// load reads a configuration of one file; its name's extension says of which format.
func load(t *testing.T, name, text, env string) (*project.Config, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return project.Load(project.Options{Dir: dir, Env: env})
}

func mustLoad(t *testing.T, name, text, env string) *project.Config {
	t.Helper()
	c, err := load(t, name, text, env)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const (
	jsonc = `// a comment
{ "name": "w", "main": "./src/index.ts", /* another */ "compatibility_date": "2026-11-01",
  "vars": { "A": "x", "N": 12345678901234567890, "O": { "b": [1, 2,] } },
  "kv_namespaces": [{ "binding": "KV", "id": "k1", "preview_id": "p" }],
  "triggers": { "crons": ["*/5 * * * *"] },
}`
	tomlText = `name = "w"
main = "./src/index.ts"
compatibility_date = "2026-11-01"
kv_namespaces = [ { binding = "KV", id = "k1", preview_id = "p" } ]
[vars]
A = "x"
N = 5
O = { b = [1, 2] }
[triggers]
crons = ["*/5 * * * *"]
`
)

func TestFormats(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"wrangler.jsonc": jsonc, "wrangler.json": strings.Replace(jsonc, "// a comment\n", "\ufeff", 1), "wrangler.toml": tomlText,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := mustLoad(t, name, text, "")
			if c.Name != "w" || c.Main != filepath.Join(c.Root, "src", "index.ts") || c.CompatibilityDate != "2026-11-01" {
				t.Errorf("%+v", c)
			}
			if d := cmp.Diff(&[]string{"*/5 * * * *"}, c.Triggers.Crons); d != "" {
				t.Error(d)
			}
			number := "12345678901234567890"
			if name == "wrangler.toml" {
				number = "5"
			}
			want := `[{"name":"A","text":"x","type":"plain_text"},{"json":` + number + `,"name":"N","type":"json"},{"json":{"b":[1,2]},"name":"O","type":"json"},{"name":"KV","namespace_id":"k1","type":"kv_namespace"}]`
			if got := asJSON(t, c.Bindings); got != want {
				t.Errorf("bindings\n%s, want\n%s", got, want)
			}
			if len(c.Warnings) > 0 {
				t.Errorf("warnings %q", c.Warnings)
			}
		})
	}
}

func TestPrecedenceAndFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sub := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := project.Load(project.Options{Dir: sub}); !errors.Is(err, project.ErrNoConfig) {
		t.Fatalf("without a file: %v", err)
	}
	for _, step := range []struct{ file, name string }{
		{"a/b/wrangler.toml", "toml-below"}, {"a/wrangler.jsonc", "jsonc-above"}, {"wrangler.json", "json-top"},
	} {
		text := `{"name":"` + step.name + `"}`
		if strings.HasSuffix(step.file, ".toml") {
			text = `name = "` + step.name + `"`
		}
		if err := os.WriteFile(filepath.Join(dir, step.file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		// The kind of file counts before its nearness, as for wrangler.
		c, err := project.Load(project.Options{Dir: sub})
		if err != nil || c.Name != step.name {
			t.Errorf("with %s: %v, %v", step.file, c, err)
		}
	}
}

func TestRedirect(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"wrangler.jsonc":               `{"name":"w","main":"src/index.ts"}`,
		".wrangler/deploy/config.json": `{"configPath":"../../dist/wrangler.json"}`,
		"dist/wrangler.json":           `{"name":"w-built","main":"index.js","no_bundle":true,"topLevelName":"w","definedEnvironments":[]}`,
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := project.Load(project.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "w-built" || c.Main != filepath.Join(dir, "dist", "index.js") || c.Root != dir || !c.Bundling.NoBundle || len(c.Warnings) > 0 {
		t.Errorf("%+v", c)
	}
}

const environments = `{
  "name": "w", "compatibility_date": "2026-01-01", "keep_vars": true,
  "vars": { "A": "top", "B": "top" },
  "kv_namespaces": [{ "binding": "KV", "id": "top" }],
  "routes": ["top.test/*"],
  "env": {
    "staging": { "vars": { "A": "staging" }, "compatibility_date": "2026-02-02", "route": "staging.test/*" },
    "named": { "name": "other", "vars": {"A":"1","B":"2"}, "kv_namespaces": [] },
    "odd": { "keep_vars": false, "unheard": 1, "vars": {"A":"","B":""}, "kv_namespaces": [] }
  }
}`

func TestEnvironments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env, name, date, bindings, route string
		warns                            []string
	}{
		{"", "w", "2026-01-01", `[{"name":"A","text":"top","type":"plain_text"},{"name":"B","text":"top","type":"plain_text"},{"name":"KV","namespace_id":"top","type":"kv_namespace"}]`, "top.test/*", nil},
		{"staging", "w-staging", "2026-02-02", `[{"name":"A","text":"staging","type":"plain_text"}]`, "staging.test/*", []string{`"kv_namespaces"`, `"vars.B"`}},
		{"named", "other", "2026-01-01", `[{"name":"A","text":"1","type":"plain_text"},{"name":"B","text":"2","type":"plain_text"}]`, "top.test/*", nil},
		{"odd", "w-odd", "2026-01-01", `[{"name":"A","text":"","type":"plain_text"},{"name":"B","text":"","type":"plain_text"}]`, "top.test/*", []string{`env.odd.keep_vars`, `"env.odd.unheard"`}},
	} {
		t.Run(c.env, func(t *testing.T) {
			t.Parallel()
			got := mustLoad(t, "wrangler.jsonc", environments, c.env)
			if got.Name != c.name || got.CompatibilityDate != c.date || asJSON(t, got.Bindings) != c.bindings {
				t.Errorf("%s %s %s", got.Name, got.CompatibilityDate, asJSON(t, got.Bindings))
			}
			if len(got.Routes) != 1 || got.Routes[0].Pattern != c.route {
				t.Errorf("routes %v", got.Routes)
			}
			if len(got.Warnings) != len(c.warns) {
				t.Fatalf("warnings %q, want %q", got.Warnings, c.warns)
			}
			all := strings.Join(got.Warnings, "\n")
			for _, want := range c.warns {
				if !strings.Contains(all, want) {
					t.Errorf("warnings %q lack %q", got.Warnings, want)
				}
			}
		})
	}
	if _, err := load(t, "wrangler.jsonc", environments, "nope"); err == nil || !strings.Contains(err.Error(), "named, odd, staging") {
		t.Errorf("an unknown environment: %v", err)
	}
	c := mustLoad(t, "wrangler.jsonc", `{"name":"w"}`, "some")
	if c.Name != "w-some" || len(c.Warnings) != 1 {
		t.Errorf("an environment of a configuration without any: %s %q", c.Name, c.Warnings)
	}
}

func TestEveryKindOfBinding(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, "wrangler.jsonc", `{ "name": "w",
  "durable_objects": { "bindings": [{ "name": "DO", "class_name": "C" }, { "name": "FAR", "class_name": "D", "script_name": "far" }] },
  "services": [{ "binding": "SVC", "service": "other", "entrypoint": "E", "props": { "a": 1 } }],
  "queues": { "producers": [{ "binding": "Q", "queue": "q1" }], "consumers": [{ "queue": "q1", "max_batch_size": 5, "max_batch_timeout": 2 }] },
  "d1_databases": [{ "binding": "DB", "database_name": "d", "database_id": "id-1", "migrations_dir": "m" }],
  "r2_buckets": [{ "binding": "R2" }],
  "ratelimits": [{ "name": "RL", "namespace_id": "1", "simple": { "limit": 1, "period": 10 } }],
  "workflows": [{ "binding": "WF", "name": "wf", "class_name": "W", "limits": { "steps": 3 } }],
  "dispatch_namespaces": [{ "binding": "DN", "namespace": "n", "outbound": { "service": "o", "parameters": ["p"] } }],
  "ai": { "binding": "AI" }, "version_metadata": { "binding": "V" },
  "unsafe": { "bindings": [{ "name": "U", "type": "strange", "x": 1 }] },
}`, "")
	want := []string{
		`{"class_name":"C","name":"DO","type":"durable_object_namespace"}`,
		`{"class_name":"D","name":"FAR","script_name":"far","type":"durable_object_namespace"}`,
		`{"class_name":"W","name":"WF","type":"workflow","workflow_name":"wf"}`,
		`{"name":"Q","queue_name":"q1","type":"queue"}`,
		`{"name":"R2","type":"r2_bucket"}`,
		`{"id":"id-1","name":"DB","type":"d1"}`,
		`{"entrypoint":"E","name":"SVC","props":{"a":1},"service":"other","type":"service"}`,
		`{"name":"DN","namespace":"n","outbound":{"params":[{"name":"p"}],"worker":{"service":"o"}},"type":"dispatch_namespace"}`,
		`{"name":"RL","namespace_id":"1","simple":{"limit":1,"period":10},"type":"ratelimit"}`,
		`{"name":"AI","type":"ai"}`,
		`{"name":"V","type":"version_metadata"}`,
		`{"name":"U","type":"strange","x":1}`,
	}
	if d := cmp.Diff(strings.Join(want, "\n"), strings.ReplaceAll(strings.Trim(asJSON(t, c.Bindings), "[]"), "},{\"", "}\n{\"")); d != "" {
		// The dispatch namespace has a list inside, so compare one by one for the message.
		for i, b := range c.Bindings {
			if got := asJSON(t, b); i >= len(want) || got != want[i] {
				t.Errorf("binding %d is %s", i, got)
			}
		}
	}
	if d := cmp.Diff([]string{"C"}, c.LocalObjects()); d != "" {
		t.Error(d)
	}
	if got := asJSON(t, c.Workflows); got != `[{"Name":"wf","Body":{"class_name":"W","limits":{"steps":3}}}]` {
		t.Error(got)
	}
	if got := asJSON(t, c.Consumers[0].Settings()); got != `{"batch_size":5,"max_wait_time_ms":2000}` {
		t.Error(got)
	}
	for _, b := range c.Bindings {
		if (b.Missing != "") != (b.Name == "R2") {
			t.Errorf("%s lacks %q", b.Name, b.Missing)
		}
	}
	if len(c.Warnings) > 0 {
		t.Errorf("warnings %q", c.Warnings)
	}
}

func TestBadConfigurations(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, text, want string }{
		"no JSON":           {"wrangler.jsonc", "name = \"w\"", "line 1, column 2"},
		"cut off":           {"wrangler.jsonc", "{\n \"name\":", "ends too early"},
		"line and column":   {"wrangler.jsonc", "{\n  // c\n  \"name\": nope }", "line 3, column 12"},
		"a list":            {"wrangler.json", "[]", "want an object"},
		"two values":        {"wrangler.json", "{} {}", "after the end"},
		"open comment":      {"wrangler.json", "{ /* ", "line 1"},
		"TOML":              {"wrangler.toml", "name = \n", "line 1"},
		"too large":         {"wrangler.json", `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, "larger than"},
		"wrong type":        {"wrangler.json", `{"main": 5}`, `"main" is 5; want a string`},
		"wrong type in env": {"wrangler.json", `{"env":{"":{}},"vars":[]}`, `"vars" is []; want an object`},
		"name":              {"wrangler.json", `{"name":"Big Name"}`, `"Big Name" is not valid`},
		"date":              {"wrangler.json", `{"compatibility_date":"soon"}`, `"soon" is not of the form`},
		"binding name":      {"wrangler.json", `{"kv_namespaces":[{"id":"x"}]}`, `"kv_namespaces[0]" has no "binding"`},
		"binding field":     {"wrangler.json", `{"services":[{"binding":"S"}]}`, `"services[0]" has no "service"`},
		"same name":         {"wrangler.json", `{"vars":{"A":"1"},"kv_namespaces":[{"binding":"A","id":"1"}]}`, `2 bindings have the name "A"`},
		"define":            {"wrangler.json", `{"define":{"A":1}}`, `"define" has a wrong value`},
		"rule":              {"wrangler.json", `{"rules":[{"type":"Text","globs":"*.md"}]}`, `"rules" has a wrong value`},
		"migration":         {"wrangler.json", `{"migrations":[{"new_classes":["A"]}]}`, `has no "tag"`},
		"route":             {"wrangler.json", `{"routes":[{"zone_name":"a.test"}]}`, "is not valid"},
		"custom domain":     {"wrangler.json", `{"routes":[{"pattern":"a.test/*","custom_domain":true}]}`, "is not a hostname"},
		"pages":             {"wrangler.json", `{"pages_build_output_dir":"dist"}`, "Pages project"},
		"assets":            {"wrangler.json", `{"assets":{"directory":"./none"}}`, "is no folder"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, c.file, c.text, "")
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.file) {
				t.Errorf("err = %v, want %q and the file", err, c.want)
			}
		})
	}
	if _, err := project.Load(project.Options{File: filepath.Join(t.TempDir(), "gone.json")}); err == nil || !strings.Contains(err.Error(), "gone.json was not found") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestInheritedDomainsWarn(t *testing.T) {
	t.Parallel()
	const text = `{"name":"w","routes":[{"pattern":"a.test","custom_domain":true}],"env":{"a":{},"b":{"routes":[]}}}`
	if c := mustLoad(t, "wrangler.json", text, "a"); len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "a.test") {
		t.Errorf("warnings %q", c.Warnings)
	}
	if c := mustLoad(t, "wrangler.json", text, "b"); len(c.Warnings) != 0 || len(c.Routes) != 0 {
		t.Errorf("warnings %q, routes %v", c.Warnings, c.Routes)
	}
}

func TestUnknownKeysWarn(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, "wrangler.json", `{"name":"w","comptibility_date":"x","kv_namespaces":[{"binding":"K","id":"1","idd":2}]}`, "")
	all := strings.Join(c.Warnings, "\n")
	c2 := mustLoad(t, "wrangler.json", `{"name":"w","access":true,"connect":[],"assets":{"directory":".","exclude":["a"]},"triggers":{"events":[{"type":"x"}]}}`, "")
	all += strings.Join(c2.Warnings, "\n")
	for _, want := range []string{`"comptibility_date"`, `"kv_namespaces[0].idd"`, `"access" has no effect`, `"assets.exclude" has no effect`, `"triggers.events" has no effect`} {
		if !strings.Contains(all, want) {
			t.Errorf("warnings %q lack %s", c.Warnings, want)
		}
	}
}

func TestIgnore(t *testing.T) {
	t.Parallel()
	ig := project.ParseIgnore("# comment\n*.map\n/top.txt\nbuild/\n!build/keep.txt\nsrc/**/gen\n!keep.map\n\\#odd\n[ab].md\n")
	for file, want := range map[string]bool{
		"a.map": true, "x/y.map": true, "keep.map": false, "x/keep.map": false,
		"top.txt": true, "x/top.txt": false, "build": false, "build/a": true, "build/keep.txt": true, "x/build/a": true,
		"src/gen": true, "src/a/b/gen/f": true, "gen": false, "#odd": true, "# comment": false,
		"a.md": true, "c.md": false, "index.html": false,
	} {
		if got := ig.Match(file); got != want {
			t.Errorf("%s: ignored %v, want %v", file, got, want)
		}
	}
}

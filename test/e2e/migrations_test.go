package e2e

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// classConfig is a configuration with the binding OBJECT to a class of the script's
// own ("" is none), and migrations.
func classConfig(name, class, migrations string) string {
	bindings := ""
	if class != "" {
		bindings = `"durable_objects": {"bindings": [{"name": "OBJECT", "class_name": "` + class + `"}]},`
	}
	return `{"name": "` + name + `", "main": "index.js", "compatibility_date": "2026-09-01", ` + bindings + ` "migrations": [` + migrations + `]}`
}

const (
	made    = `{"tag": "v1", "new_sqlite_classes": ["Log"]}`
	renamed = made + `, {"tag": "v2", "renamed_classes": [{"from": "Log", "to": "Journal"}]}`
	back    = renamed + `, {"tag": "v3", "renamed_classes": [{"from": "Journal", "to": "Log"}]}`
	taken   = `{"tag": "t1", "transferred_classes": [{"from": "Log", "from_script": "giver", "to": "Taken"}]}`
)

// TestObjectMigrations takes objects through every migration there is, with wrangler,
// and tries those that the platform refuses.
func TestObjectMigrations(t *testing.T) {
	t.Parallel()
	p := start(t)
	source := func(class string) string {
		return strings.ReplaceAll(logSource(class), "class Log ", "class "+class+" ")
	}
	none := `export default { fetch() { return new Response("none"); } };`
	giver := project(t, map[string]string{"wrangler.jsonc": classConfig("giver", "Log", made), "index.js": source("Log")})
	deploy := func(dir, config, source string) {
		t.Helper()
		edit(t, dir, "wrangler.jsonc", config)
		edit(t, dir, "index.js", source)
		p.must(t, dir, "deploy")
	}
	refused := func(dir, config, source, code, text string) {
		t.Helper()
		edit(t, dir, "wrangler.jsonc", config)
		edit(t, dir, "index.js", source)
		if out, err := p.wrangler(t, dir, "deploy"); err == nil || !strings.Contains(out, "[code: "+code+"]") || !strings.Contains(out, text) {
			t.Errorf("%s: %v, want code %s and %q\n%s", config, err, code, text, out)
		}
	}
	host := p.host("giver")
	p.must(t, giver, "deploy")
	p.want(t, host, "/add?id=a", "1")

	// Renamed, and back by a migration of its own; a tag that goes back is none.
	deploy(giver, classConfig("giver", "Journal", renamed), source("Journal"))
	p.want(t, host, "/add?id=b", "2")
	refused(giver, classConfig("giver", "Journal", made), source("Journal")+"\nexport { Journal as Log };", "10079", "current tag is 'v2'")
	edit(t, giver, "wrangler.jsonc", classConfig("giver", "Journal", renamed+`, {"tag": "v3", "new_sqlite_classes": ["Journal"]}`))
	edit(t, giver, "index.js", source("Journal"))
	if _, stderr, code := p.ours(t, giver, "", "deploy"); code != 1 || !strings.Contains(stderr, "10074") { // wrangler refuses it itself
		t.Errorf("a class that is there already: %d %s", code, stderr)
	}
	refused(giver, classConfig("giver", "Journal", renamed+`, {"tag": "v3", "new_sqlite_classes": ["Absent"]}`), source("Journal"), "10070", "'Absent'")
	refused(giver, classConfig("giver", "Log", renamed), source("Journal")+"\nexport { Journal as Log };", "10061", "'Log'")
	refused(giver, classConfig("giver", "", renamed), none, "10064", "'Journal'")
	deploy(giver, classConfig("giver", "Log", back), source("Log"))
	p.want(t, host, "/add?id=c", "3")

	// Transferred to another script, which finds the objects; the giver binds them there.
	taker := project(t, map[string]string{})
	refused(taker, classConfig("taker", "Taken", `{"tag": "t1", "transferred_classes": [{"from": "Nope", "from_script": "giver", "to": "Taken"}]}`), source("Taken"), "10073", "'Nope'")
	deploy(taker, classConfig("taker", "Taken", taken), source("Taken"))
	p.want(t, p.host("taker"), "/add?id=d", "4")
	deploy(giver, `{"name": "giver", "main": "index.js", "compatibility_date": "2026-09-01",
		"durable_objects": {"bindings": [{"name": "OBJECT", "class_name": "Taken", "script_name": "taker"}]}, "migrations": [`+back+`]}`,
		strings.Replace(source("Log"), "export class", "class", 1))
	p.want(t, host, "/add?id=e", "5")
	refused(giver, classConfig("giver", "Log", back), source("Log"), "10061", "'Log'")

	// A version with a migration to do is no version of a gradual deployment.
	edit(t, taker, "wrangler.jsonc", classConfig("taker", "Taken", taken+`, {"tag": "t2", "new_sqlite_classes": ["More"]}`))
	edit(t, taker, "index.js", source("Taken")+"\nexport class More extends DurableObject {}")
	if out, err := p.wrangler(t, taker, "versions", "upload"); err == nil {
		t.Errorf("versions upload with a migration:\n%s", out)
	}

	// Deleted, with the data, once nothing binds it.
	edit(t, giver, "wrangler.jsonc", classConfig("giver", "", back))
	edit(t, giver, "index.js", none)
	p.must(t, giver, "deploy")
	pattern := filepath.Join(p.data, "objects", "*", "*", "*.sqlite")
	if files, err := filepath.Glob(pattern); err != nil || len(files) == 0 {
		t.Fatalf("the objects' files are %v (%v)", files, err)
	}
	// (wrangler does not count what was transferred, and refuses to delete it.)
	edit(t, taker, "wrangler.jsonc", classConfig("taker", "", taken+`, {"tag": "t2", "deleted_classes": ["Taken"]}`))
	edit(t, taker, "index.js", none)
	p.deployOurs(t, taker)
	eventuallyGone(t, pattern)
	edit(t, taker, "wrangler.jsonc", classConfig("taker", "Taken", taken+`, {"tag": "t2", "deleted_classes": ["Taken"]}, {"tag": "t3", "new_sqlite_classes": ["Taken"]}`))
	edit(t, taker, "index.js", source("Taken"))
	p.deployOurs(t, taker)
	p.want(t, p.host("taker"), "/add?id=z", "1")
}

// TestObjectsInGradualDeployment holds that all objects of a script run on the version
// with the larger share, whichever version a request goes to.
func TestObjectsInGradualDeployment(t *testing.T) {
	t.Parallel()
	p := start(t)
	source := func(version string) string {
		return `import { DurableObject } from "cloudflare:workers";
export class Who extends DurableObject { who() { return "` + version + `"; } }
export default { async fetch(r, env) { return new Response("` + version + ` " + await env.OBJECT.getByName(new URL(r.url).pathname).who()); } };`
	}
	dir := project(t, map[string]string{"wrangler.jsonc": classConfig("who", "Who", `{"tag": "v1", "new_sqlite_classes": ["Who"]}`), "index.js": source("one")})
	id := func(out string) string {
		t.Helper()
		m := regexp.MustCompile(`Version ID: ([0-9a-f-]{36})`).FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("no version in:\n%s", out)
		}
		return m[1]
	}
	one := id(p.must(t, dir, "deploy"))
	p.want(t, p.host("who"), "/a", "one one")
	edit(t, dir, "index.js", source("two"))
	two := id(p.must(t, dir, "versions", "upload"))
	for _, c := range []struct{ a, b, host string }{{one + "@70", two + "@30", "one"}, {one + "@20", two + "@80", "two"}, {one + "@60", two + "@40", "one"}} {
		p.must(t, dir, "versions", "deploy", c.a, c.b, "-y")
		seen := map[string]int{}
		for range 80 {
			a := p.get(t, p.host("who"), "/a")
			version, object, _ := strings.Cut(a.Body, " ")
			if object != c.host {
				t.Fatalf("%s and %s: %d %q, want the object on %s", c.a, c.b, a.Status, a.Body, c.host)
			}
			seen[version]++
		}
		if seen["one"] == 0 || seen["two"] == 0 {
			t.Errorf("%s and %s: requests went to %v", c.a, c.b, seen)
		}
	}
}

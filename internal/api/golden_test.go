package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/selvage-dev/selvage/client"
)

var update = flag.Bool("update", false, "write the golden files anew")

var unsteady = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "HASH"},
	{regexp.MustCompile(`\b[0-9a-f]{32}\b`), "ID"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z`), "TIME"},
	{regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`), "JWT"},
}

// steady replaces each id by its kind and the order in which it came, so that a golden file also shows
// which answers name the same thing. Times lose their order: they all become TIME.
func steady(text string, seen map[string]string) string {
	for _, u := range unsteady {
		text = u.pattern.ReplaceAllStringFunc(text, func(s string) string {
			if u.name == "TIME" || u.name == "JWT" {
				return u.name
			}
			if seen[s] == "" {
				seen[s] = fmt.Sprintf("%s-%d", u.name, len(seen)+1)
			}
			return seen[s]
		})
	}
	return text
}

// TestGolden holds the answers that wrangler reads, byte by byte but for ids and times.
func TestGolden(t *testing.T) {
	t.Parallel()
	b := newBench(t, realWorkers(stillRuntime{}), nil)
	c, ctx := b.client(), t.Context()
	up := hello(`"one"`)
	up.Bindings = []any{map[string]any{"name": "GREETING", "type": "plain_text", "text": "hi"}, map[string]any{"name": "TOKEN", "type": "secret_text", "text": "s3cret"}}
	up.Annotations = map[string]string{client.AnnotationMessage: "first", client.AnnotationTag: "t1"}
	first, err := c.Deploy(ctx, "w", up)
	if err != nil {
		t.Fatal(err)
	}
	form := func(u *client.Upload) (contentType, body string) {
		meta, _ := json.Marshal(u)
		return "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n" + string(meta) +
			"\r\n--b\r\nContent-Disposition: form-data; name=\"index.js\"; filename=\"index.js\"\r\nContent-Type: application/javascript+module\r\n\r\nexport default {}\r\n--b--\r\n"
	}
	contentType, body := form(&client.Upload{MainModule: "index.js", CompatibilityDate: "2026-05-01", KeepBindings: []string{"secret_text"}})
	v := "/A/workers/scripts/w/versions/"
	seen := map[string]string{}
	for _, g := range []struct{ name, method, path, body string }{
		{"user", "GET", "/user", ""},
		{"verify", "GET", "/user/tokens/verify", ""},
		{"accounts", "GET", "/accounts?page=1", ""},
		{"memberships", "GET", "/memberships?page=1", ""},
		{"service", "GET", "/A/workers/services/w", ""},
		{"service-missing", "GET", "/A/workers/services/nobody", ""},
		{"subdomain-account", "GET", "/A/workers/subdomain", ""},
		{"script-put", "PUT", "/A/workers/scripts/w2?excludeScript=true&bindings_inherit=strict", body},
		{"version-create", "POST", "/A/workers/scripts/w/versions?bindings_inherit=strict", body},
		{"versions", "GET", "/A/workers/scripts/w/versions?deployable=true", ""},
		{"version", "GET", v + first.VersionID, ""},
		{"version-missing", "GET", v + "11111111-1111-4111-8111-111111111111", ""},
		{"deployments", "GET", "/A/workers/scripts/w/deployments", ""},
		{"deployment-unknown", "POST", "/A/workers/scripts/w/deployments", `{"strategy":"percentage","versions":[{"version_id":"` + first.VersionID + `","percentage":50},{"version_id":"11111111-1111-4111-8111-111111111111","percentage":50}]}`},
		{"deployment-101", "POST", "/A/workers/scripts/w/deployments", `{"strategy":"percentage","versions":[{"version_id":"` + first.VersionID + `","percentage":50},{"version_id":"11111111-1111-4111-8111-111111111111","percentage":51}]}`},
		{"settings", "GET", "/A/workers/scripts/w/settings", ""},
		{"script-settings", "GET", "/A/workers/scripts/w/script-settings", ""},
		{"secrets", "GET", "/A/workers/scripts/w/secrets", ""},
		{"worker", "GET", "/A/workers/workers/w", ""},
		{"script-subdomain", "POST", "/A/workers/scripts/w/subdomain", `{"enabled":true,"previews_enabled":true}`},
		{"asset-session", "POST", "/A/workers/scripts/w/assets-upload-session", `{"manifest":{"/index.html":{"hash":"17453d0cfb9bacc76d9f30d3cb9ca048","size":12}}}`},
		{"references", "GET", "/A/workers/scripts/w/references", ""},
		{"schedules", "PUT", "/A/workers/scripts/w/schedules", `[]`},
		{"zone-add", "POST", "/zones", `{"name":"example.test"}`},
		{"zones", "GET", "/zones?name=example.test", ""},
		{"zones-none", "GET", "/zones?name=nosuch.test", ""},
		{"routes-put", "PUT", "/A/workers/scripts/w/routes", `[{"pattern":"example.test/api/*","zone_name":"example.test"}]`},
		{"domains-changeset", "POST", "/A/workers/scripts/w/domains/changeset?replace_state=true", `[{"hostname":"app.example.test"}]`},
		{"domains-put", "PUT", "/A/workers/scripts/w/domains/records", `{"override_scope":true,"override_existing_origin":true,"override_existing_dns_record":true,"origins":[{"hostname":"app.example.test"}]}`},
		{"domains", "GET", "/A/workers/domains/records?page=0&per_page=5&service=w&environment=production", ""},
		{"binding-not-offered", "PUT", "/A/workers/scripts/w3?bindings_inherit=strict", strings.Replace(body, `"keep_bindings"`, `"bindings":[{"name":"DB","type":"queue","queue_name":"x"}],"keep_bindings"`, 1)},
		{"inherit-nothing", "PUT", "/A/workers/scripts/w3?bindings_inherit=strict", strings.Replace(body, `"keep_bindings"`, `"bindings":[{"name":"API_KEY","type":"inherit"}],"keep_bindings"`, 1)},
		{"no-route", "GET", "/A/r2/buckets", ""},
	} {
		ct := "text/plain;charset=UTF-8"
		if strings.HasPrefix(g.body, "--b") {
			ct = contentType
		}
		a := b.do(g.method, g.path, g.body, "Content-Type", ct)
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, []byte(a.Text), "", "  "); err != nil {
			t.Fatalf("%s: %v: %s", g.name, err, a.Text)
		}
		compareGolden(t, g.name, steady(fmt.Sprintf("%d\n%s\n", a.Status, pretty.String()), seen))
	}
}

func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

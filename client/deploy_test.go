package client_test

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/selvage-dev/selvage/client"
)

var regexpHash = regexp.MustCompile(`[0-9a-f]{32}`)

// recorder answers by method and path and remembers what it was asked.
type recorder struct {
	mu      sync.Mutex
	answers map[string]string // a result, or "!CODE" for an error
	asked   []string
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	path := strings.TrimPrefix(req.URL.Path, "/client/v4/accounts/"+account)
	r.mu.Lock()
	defer r.mu.Unlock()
	call := req.Method + " " + path
	if req.URL.RawQuery != "" {
		call += "?" + req.URL.RawQuery
	}
	r.asked = append(r.asked, strings.TrimSpace(call+" "+string(body)))
	answer, known := r.answers[req.Method+" "+path]
	switch {
	case !known:
		refuse(w, http.StatusNotFound, 7003, "no route")
	case answer == "!10006":
		refuse(w, http.StatusNotFound, 10006, "no bucket")
	default:
		ok(w, answer)
	}
}

func TestTriggersSendWhatWranglerSends(t *testing.T) {
	t.Parallel()
	r := &recorder{answers: map[string]string{
		"PUT /workers/scripts/w/routes": `[]`, "POST /workers/scripts/w/domains/changeset": `{"updated":[{"id":"1","modified":true}]}`,
		"GET /workers/domains/records/1": `{"id":"1","hostname":"a.test","service":"other"}`, "PUT /workers/scripts/w/domains/records": `{}`,
		"GET /queues": `[{"queue_id":"q","consumers":[{"consumer_id":"c","script":"w"}]}]`, "PUT /queues/q/consumers/c": `{}`,
		"PUT /workflows/wf": `{}`,
	}}
	c := serve(t, r.ServeHTTP)
	ctx := t.Context()
	yes := true
	domains := []client.Domain{{Hostname: "a.test", Previews: &yes}}
	for _, err := range []error{
		c.SetRoutes(ctx, "w", []client.Route{{Pattern: "a.test/*", Zone: "a.test"}, {Pattern: "b.test"}}),
		c.SetRoutes(ctx, "w", nil),
		c.SetDomains(ctx, "w", domains, true),
		c.SetConsumer(ctx, "q1", "w", map[string]any{"batch_size": 5}),
		c.SetWorkflow(ctx, "wf", "w", map[string]any{"class_name": "W"}),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	plan, err := c.PlanDomains(ctx, "w", domains)
	if err != nil || len(plan.Updated) != 1 || !plan.Updated[0].Modified {
		t.Errorf("%+v %v", plan, err)
	}
	if d, err := c.DomainRecord(ctx, "1"); err != nil || d.Service != "other" {
		t.Errorf("%+v %v", d, err)
	}
	want := []string{
		`PUT /workers/scripts/w/routes [{"pattern":"a.test/*","zone_name":"a.test"},{"pattern":"b.test"}]`,
		`PUT /workers/scripts/w/routes []`,
		`PUT /workers/scripts/w/domains/records {"override_scope":true,"override_existing_origin":true,"override_existing_dns_record":true,"origins":[{"hostname":"a.test","previews_enabled":true}]}`,
		`GET /queues?name=q1&page=1`,
		`PUT /queues/q/consumers/c {"script_name":"w","settings":{"batch_size":5},"type":"worker"}`,
		`PUT /workflows/wf {"class_name":"W","script_name":"w"}`,
		`POST /workers/scripts/w/domains/changeset?replace_state=true [{"hostname":"a.test","previews_enabled":true}]`,
		`GET /workers/domains/records/1`,
	}
	if d := cmp.Diff(want, r.asked); d != "" {
		t.Error(d)
	}
}

func TestProvisionFindsBeforeItMakes(t *testing.T) {
	t.Parallel()
	r := &recorder{answers: map[string]string{
		"GET /storage/kv/namespaces": `[{"id":"k1","title":"w-kv"}]`, "POST /storage/kv/namespaces": `{"id":"k2"}`,
		"GET /d1/database": `[{"uuid":"d1","name":"w-db"}]`, "POST /d1/database": `{"uuid":"d2"}`,
		"GET /r2/buckets/new": "!10006", "GET /r2/buckets/old": `{}`, "POST /r2/buckets": `{}`,
	}}
	c := serve(t, r.ServeHTTP)
	ctx := t.Context()
	for _, step := range []struct {
		call func(string) (string, bool, error)
		name string
		id   string
		made bool
	}{
		{func(s string) (string, bool, error) { return c.ProvisionKV(ctx, s) }, "w-kv", "k1", false},
		{func(s string) (string, bool, error) { return c.ProvisionKV(ctx, s) }, "x-kv", "k2", true},
		{func(s string) (string, bool, error) { return c.ProvisionD1(ctx, s) }, "w-db", "d1", false},
		{func(s string) (string, bool, error) { return c.ProvisionD1(ctx, s) }, "x-db", "d2", true},
		{func(s string) (string, bool, error) { made, err := c.ProvisionR2(ctx, s); return s, made, err }, "old", "old", false},
		{func(s string) (string, bool, error) { made, err := c.ProvisionR2(ctx, s); return s, made, err }, "new", "new", true},
	} {
		if id, made, err := step.call(step.name); err != nil || id != step.id || made != step.made {
			t.Errorf("%s: %q %v %v", step.name, id, made, err)
		}
	}
	if _, _, err := c.ForAccount("f"+account[1:]).ProvisionKV(ctx, "x"); err == nil {
		t.Error("another account's answers were taken")
	}
}

func TestUploadSizeLeavesOutSourceMaps(t *testing.T) {
	t.Parallel()
	u := client.Upload{Modules: []client.Module{
		{Name: "a.js", ContentType: client.TypeESModule, Body: bytes.Repeat([]byte("a"), 10_000)},
		{Name: "a.js.map", ContentType: client.TypeSourceMap, Body: make([]byte, 1<<20)},
	}}
	raw, gzipped, err := u.Size()
	if err != nil || raw != 10_000 || gzipped < 20 || gzipped > 200 {
		t.Errorf("%d %d %v", raw, gzipped, err)
	}
}

func TestAssetTypesDoNotDependOnTheHost(t *testing.T) {
	t.Parallel()
	a, err := client.ReadAssets(t.Context(), fstest.MapFS{"app.webmanifest": {Data: []byte("{}")}, "x.ICO": {Data: []byte("i")}, "noext": {Data: []byte("n")}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var form string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if strings.HasSuffix(r.URL.Path, "/assets-upload-session") {
			hashes := regexpHash.FindAllString(string(body), -1)
			ok(w, `{"jwt":"s","buckets":[["`+strings.Join(hashes, `","`)+`"]]}`)
			return
		}
		form = string(body)
		ok(w, `{"jwt":"done"}`)
	})
	var seen []int
	a.Progress = func(done, total int) { seen = append(seen, done, total) }
	if jwt, err := c.UploadAssets(t.Context(), "w", a); err != nil || jwt != "done" {
		t.Fatalf("%q %v", jwt, err)
	}
	for _, want := range []string{"application/manifest+json", "image/vnd.microsoft.icon", "application/null"} {
		if !strings.Contains(form, "Content-Type: "+want) {
			t.Errorf("the form lacks %s:\n%s", want, form)
		}
	}
	if d := cmp.Diff([]int{0, 3, 3, 3}, seen); d != "" {
		t.Error(d)
	}
	if !a.Has("/noext") || a.Has("noext") {
		t.Error("Has is wrong")
	}
}

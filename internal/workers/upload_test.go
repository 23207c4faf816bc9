package workers_test

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/selvage-dev/selvage/internal/workers"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

func TestPutScript(t *testing.T) {
	h := newHarness(t)
	u := h.esm("export default {}", `{"name":"A","type":"plain_text","text":"1"}`, `{"name":"J","type":"json","json":{"a": [1]}}`,
		`{"name":"S","type":"secret_text","text":"hunter2"}`, `{"name":"V","type":"version_metadata"}`, `{"name":"W","type":"wasm_module","part":"w.wasm"}`)
	u.Modules = append(u.Modules, h.module("w.wasm", "application/wasm", "\x00asm"), h.module("index.js.map", "application/source-map", "{}"), h.module("./sub/t.txt", "text/plain", "hi"))
	u.Annotations = map[string]string{workers.AnnotationTag: "t1", workers.AnnotationMessage: "first"}
	d, err := h.PutScript(t.Context(), account, "w1", u)
	if err != nil {
		t.Fatal(err)
	}
	v := d.Version
	if v.Number != 1 || v.Script != "w1" || !v.HasCode || v.HasAssets || v.StartupTime == 0 || len(v.Etag) != 64 || d.Deployment.Versions[0].VersionID != v.ID {
		t.Errorf("deployed = %+v", d)
	}
	var bindings []string
	for _, b := range v.Bindings {
		bindings = append(bindings, string(b))
	}
	want := []string{
		`{"name":"A","type":"plain_text","text":"1"}`, `{"name":"J","type":"json","json":{"a":[1]}}`, `{"name":"S","type":"secret_text"}`,
		`{"name":"V","type":"version_metadata"}`, `{"name":"W","type":"wasm_module","part":"w.wasm"}`,
	}
	if diff := cmp.Diff(want, bindings); diff != "" {
		t.Errorf("bindings (-want +got):\n%s", diff)
	}
	w := h.runtime.last
	if len(w.Modules) != 2 || w.Modules[0].Name != "index.js" || w.Modules[0].Kind != workerd.ESModule || w.Modules[1].Name != "./sub/t.txt" {
		t.Errorf("modules = %+v", w.Modules)
	}
	env := make(map[string]workerd.Binding)
	for _, b := range w.Bindings {
		env[b.Name] = b
	}
	if env["S"].Text != "hunter2" || env["J"].Kind != workerd.JSONBinding || string(env["W"].Data) != "\x00asm" {
		t.Errorf("env = %+v", env)
	}
	var meta struct {
		ID        string `json:"id"`
		Tag       string `json:"tag"`
		Timestamp string `json:"timestamp"`
	}
	if err := json.Unmarshal([]byte(env["V"].Text), &meta); err != nil || meta.ID != v.ID || meta.Tag != "t1" || meta.Timestamp == "" {
		t.Errorf("version metadata = %s (%v)", env["V"].Text, err)
	}
	if got, err := h.Version(t.Context(), account, "w1", strings.ReplaceAll(v.ID, "-", "")); err != nil || got.ID != v.ID {
		t.Errorf("version without hyphens = %+v, %v", got, err)
	}
	if s, err := h.Script(t.Context(), account, "w1"); err != nil || s.Live == nil || len(s.Live.Modules) != 3 {
		t.Errorf("script = %+v, %v", s, err)
	}
}

// TestSourceMapsCountApart: a map is usually larger than what it maps.
func TestSourceMapsCountApart(t *testing.T) {
	h := open(t, t.TempDir(), func(o *workers.Options) { o.MaxScriptSize, o.MaxSourceMaps = 100, 1000 })
	defer h.end()
	u := h.esm("export default {}")
	u.Modules = append(u.Modules, h.module("index.js.map", "application/source-map", strings.Repeat(" ", 500)))
	if _, err := h.PutScript(t.Context(), account, "w1", u); err != nil {
		t.Error(err)
	}
}

func TestUploadRefused(t *testing.T) {
	h := newHarness(t)
	esm := func(bindings ...string) func() *workers.Upload {
		return func() *workers.Upload { return h.esm("export default {}", bindings...) }
	}
	with := func(edit func(*workers.Upload)) func() *workers.Upload {
		return func() *workers.Upload { u := h.esm("export default {}"); edit(u); return u }
	}
	for name, c := range map[string]struct {
		upload func() *workers.Upload
		code   int
		text   string
	}{
		"does not start":     {func() *workers.Upload { return h.esm("throw new Error('boom')") }, 10021, "Uncaught Error: boom\n  at index.js:1:7"},
		"unknown type":       {esm(`{"name":"DB","type":"queue","queue_name":"x"}`), workers.CodeNotOffered, `"DB"`},
		"duplicate":          {esm(`{"name":"A","type":"plain_text","text":""}`, `{"name":"A","type":"json","json":1}`), 10021, "twice"},
		"inherit":            {esm(`{"name":"K","type":"inherit"}`), 10057, `inherit binding 'K' is invalid`},
		"part missing":       {esm(`{"name":"W","type":"wasm_module","part":"no.wasm"}`), 10021, "no.wasm"},
		"no text":            {esm(`{"name":"A","type":"plain_text"}`), 10021, "no text"},
		"assets without any": {esm(`{"name":"ASSETS","type":"assets"}`), 10021, "no assets"},
		"not an object":      {esm(`7`), 10021, "Binding 0"},
		"main missing":       {with(func(u *workers.Upload) { u.MainModule = "other.js" }), 10021, "other.js"},
		"traversal":          {with(func(u *workers.Upload) { u.Modules[0].Name = "../../x" }), 10021, `".."`},
		"absolute":           {with(func(u *workers.Upload) { u.Modules[0].Name = "/etc/passwd" }), 10021, "absolute"},
		"NUL":                {with(func(u *workers.Upload) { u.Modules[0].Name = "a\x00b" }), 10021, "not allowed"},
		"content type":       {with(func(u *workers.Upload) { u.Modules[0].ContentType = "image/png" }), 10021, "image/png"},
		"python":             {with(func(u *workers.Upload) { u.Modules[0].ContentType = "text/x-python" }), workers.CodeNotOffered, "Python"},
		"future date":        {with(func(u *workers.Upload) { u.CompatibilityDate = "2030-01-01" }), 10021, "2026-11-20"},
		"no date":            {with(func(u *workers.Upload) { u.CompatibilityDate = "soon" }), 10021, "soon"},
		"alias":              {with(func(u *workers.Upload) { u.Annotations = map[string]string{workers.AnnotationAlias: "A b"} }), workers.CodeInvalidRequest, "alias"},
		"two ways":           {with(func(u *workers.Upload) { u.BodyPart = "index.js" }), 10021, "both"},
		"nothing":            {func() *workers.Upload { return &workers.Upload{} }, 10021, "neither"},
		"same name":          {with(func(u *workers.Upload) { m := u.Modules[0]; m.Name = "./index.js"; u.Modules = append(u.Modules, m) }), 10021, "same name"},
		"gone blob":          {with(func(u *workers.Upload) { u.Modules[0].Blob = strings.Repeat("0", 64) }), workers.CodeInvalidRequest, "again"},
		"too many modules":   {with(func(u *workers.Upload) { u.Modules = make([]workers.UploadModule, 1001) }), 10027, "1001"},
		"maps too large": {with(func(u *workers.Upload) {
			u.Modules = append(u.Modules, h.module("a.map", "application/source-map", "{}"))
			u.Modules[1].Size = 129 << 20
		}), 10027, "source maps"},
		"too large":           {with(func(u *workers.Upload) { u.Modules[0].Size = 65 << 20 }), 10027, "larger"},
		"assets, wrong token": {with(func(u *workers.Upload) { u.Assets = &workers.UploadAssets{JWT: "x"} }), workers.CodeUploadTicket, "token"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.PutScript(t.Context(), account, "w1", c.upload())
			if e := wantCode(t, err, c.code); !strings.Contains(e.Message, c.text) {
				t.Errorf("message %q does not contain %q", e.Message, c.text)
			}
		})
	}
	if all, err := h.Scripts(t.Context(), account); err != nil || len(all) != 0 {
		t.Errorf("a refused upload left %v, %v", all, err)
	}
	for _, name := range []string{"", "A", "-a", "a.b", "a/b", strings.Repeat("a", 64), "ä"} {
		_, err := h.PutScript(t.Context(), account, name, h.esm("export default {}"))
		wantCode(t, err, workers.CodeInvalidName)
	}
	eventually(t, "refused uploads leave no process", func() bool { return len(h.runtime.live()) == 0 })
}

func TestServiceWorker(t *testing.T) {
	h := newHarness(t)
	u := &workers.Upload{BodyPart: "w1", Modules: []workers.UploadModule{h.module("w1", "application/javascript", "addEventListener('fetch',()=>{})"), h.module("t", "text/plain", "text")}}
	_, err := h.PutScript(t.Context(), account, "w1", u)
	wantCode(t, err, 10021)
	u.Bindings = []json.RawMessage{json.RawMessage(`{"name":"T","type":"text_blob","part":"t"}`)}
	if _, err := h.PutScript(t.Context(), account, "w1", u); err != nil {
		t.Fatal(err)
	}
	if w := h.runtime.last; !w.ServiceWorker || len(w.Modules) != 1 || w.Bindings[0].Text != "text" {
		t.Errorf("worker = %+v", w)
	}
}

func TestKeepAndInherit(t *testing.T) {
	h := newHarness(t)
	h.put("w1", "export default {}", `{"name":"S","type":"secret_text","text":"s"}`, `{"name":"A","type":"plain_text","text":"1"}`)
	v, err := h.CreateVersion(t.Context(), account, "w1", h.esm("export default { }", `{"name":"A","type":"inherit"}`, `{"name":"B","type":"inherit","old_name":"A"}`))
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]bool)
	for _, b := range v.Bindings {
		got[string(b)] = true
	}
	for _, want := range []string{`{"name":"S","type":"secret_text"}`, `{"name":"A","type":"plain_text","text":"1"}`, `{"name":"B","type":"plain_text","text":"1"}`} {
		if !got[want] {
			t.Errorf("%s is missing in %v", want, got)
		}
	}
	u := h.esm("export default {  }")
	u.KeepBindings = nil
	if v, err = h.CreateVersion(t.Context(), account, "w1", u); err != nil || len(v.Bindings) != 0 {
		t.Errorf("without keep_bindings: %v, %v", v.Bindings, err)
	}
	_, err = h.CreateVersion(t.Context(), account, "nosuch", u)
	wantCode(t, err, 10007)
}

func TestRetry(t *testing.T) {
	h := newHarness(t)
	first := h.put("w1", "export default {}", `{"name":"S","type":"secret_text","text":"s"}`)
	again := h.put("w1", "export default {}", `{"name":"S","type":"secret_text","text":"s"}`)
	if again.Version.ID != first.Version.ID || again.Deployment.ID != first.Deployment.ID {
		t.Errorf("a retry made another version or deployment: %v, %v", first, again)
	}
	other := h.put("w1", "export default {}", `{"name":"S","type":"secret_text","text":"t"}`)
	if other.Version.ID == first.Version.ID || other.Version.Number != 2 {
		t.Errorf("another secret did not make another version: %+v", other)
	}
}

func TestSecretsAreSealed(t *testing.T) {
	const text = "correct horse battery staple"
	dir := t.TempDir()
	h := open(t, dir, nil)
	h.put("w1", "export default {}", `{"name":"S","type":"secret_text","text":"`+text+`"}`)
	if _, err := h.PutSecret(t.Context(), account, "w1", "T", text, workers.Origin{}); err != nil {
		t.Fatal(err)
	}
	h.end()
	for _, name := range []string{"selvage.db", "selvage.db-wal"} {
		raw, err := os.ReadFile(dir + "/" + name)
		if err == nil && strings.Contains(string(raw), text) {
			t.Errorf("%s holds a secret in the clear", name)
		}
	}
}

func FuzzDecodeMetadata(f *testing.F) {
	f.Add([]byte(`{"main_module":"index.js","bindings":[{"name":"A","type":"plain_text","text":"1"}],"keep_bindings":["secret_text"],"assets":{"jwt":"x","config":{"run_worker_first":["/a"]}}}`))
	f.Add([]byte(`{"migrations":[],"containers":{},"observability":{"enabled":true},"tail_consumers":[{"service":"a"}],"logpush":null}`))
	f.Add([]byte(`{"containers":[{"name":"x"}]}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		u, err := workers.DecodeMetadata(data)
		if (u == nil) == (err == nil) {
			t.Fatalf("upload %v with error %v", u, err)
		}
		if err != nil {
			wantOneOf(t, err, workers.CodeInvalidRequest, workers.CodeNotOffered)
		}
	})
}

func wantOneOf(t *testing.T, err error, codes ...int) {
	t.Helper()
	e, ok := errors.AsType[*workers.Error](err)
	if !ok {
		t.Fatalf("%v is no *Error", err)
	}
	if !slices.Contains(codes, e.Code) {
		t.Fatalf("unexpected code in %v", err)
	}
}

func TestDecodeMetadata(t *testing.T) {
	u, err := workers.DecodeMetadata([]byte(`{"main_module":"a.js","code_update_strategy":{"mode":"deferred"},"package_dependencies":[1],"exports":{},"limits":{"cpu_ms":5},
		"assets":{"jwt":"t","config":{"html_handling":"none","_headers":"/*\n a: b"}},"tags":["x"],"logpush":false}`))
	if err != nil {
		t.Fatal(err)
	}
	if u.MainModule != "a.js" || string(u.Limits) != `{"cpu_ms":5}` || u.Assets.Config.HTMLHandling != "none" || u.Logpush == nil || *u.Logpush || (*u.Tags)[0] != "x" {
		t.Errorf("upload = %+v", u)
	}
	for raw, want := range map[string]string{
		`{"containers":[{"name":"a"}]}`:    "class",
		`{"what_is_this":1}`:               "what_is_this",
		`{"bindings":{}}`:                  "bindings",
		`{"tail_consumers":{"service":1}}`: "tail_consumers",
		`{"logpush":true}`:                 "Logpush",
		`not json`:                         "JSON",
	} {
		_, err := workers.DecodeMetadata([]byte(raw))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v does not name %q", raw, err, want)
		}
	}
}

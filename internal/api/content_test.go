package api_test

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/assets"
)

func TestContent(t *testing.T) {
	t.Parallel()
	b := newBench(t, realWorkers(stillRuntime{}), nil)
	if _, err := b.client().Deploy(t.Context(), "w", hello(`"one"`)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/A/workers/scripts/w/content/v2", "/A/workers/services/w/environments/production/content/v2", "/A/workers/scripts/w"} {
		a := b.do("GET", path, "")
		_, params, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
		if err != nil || a.Header.Get("Cf-Entrypoint") != "index.js" {
			t.Fatalf("%v: %v", a.Header, err)
		}
		got := map[string]string{}
		for r := multipart.NewReader(strings.NewReader(a.Text), params["boundary"]); ; {
			p, err := r.NextRawPart()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(p)
			got[p.FormName()+" "+p.Header.Get("Content-Type")] = string(body)
		}
		want := map[string]string{
			"index.js application/javascript+module": `export default { fetch() { return new Response("one") } }`,
			"./sub/x.txt text/plain":                 `"one"`,
			"index.js.map application/source-map":    `{"version":3}`,
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(path, d)
		}
	}
}

func TestServiceWorkerContent(t *testing.T) {
	t.Parallel()
	b := newBench(t, realWorkers(stillRuntime{}), nil)
	const code = `addEventListener("fetch", (e) => e.respondWith(new Response("hi")))`
	_, err := b.client().Deploy(t.Context(), "w", &client.Upload{
		BodyPart: "script", CompatibilityDate: "2026-05-01",
		Modules: []client.Module{{Name: "script", ContentType: client.TypeScript, Body: []byte(code)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	a := b.do("GET", "/A/workers/scripts/w/content/v2", "")
	if a.Header.Get("Content-Type") != "application/javascript" || a.Text != code {
		t.Errorf("%v %s", a.Header, a.Text)
	}
}

func TestAssets(t *testing.T) {
	t.Parallel()
	b := newBench(t, realWorkers(stillRuntime{}), nil)
	c, ctx := b.client(), t.Context()
	files := fstest.MapFS{}
	for _, name := range []string{"index.html", "a/b.css", "noext"} {
		files[name] = &fstest.MapFile{Data: []byte("content of " + name)}
	}
	a, err := client.ReadAssets(ctx, files, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := c.UploadAssets(ctx, "site", a)
	if err != nil || token == "" {
		t.Fatalf("%q, %v", token, err)
	}
	if _, err := c.Deploy(ctx, "site", &client.Upload{CompatibilityDate: "2026-05-01", Assets: &client.UploadedAssets{JWT: token}}); err != nil {
		t.Fatal(err)
	}
	list, err := c.Scripts(ctx)
	if err != nil || len(list) != 1 || !list[0].HasAssets || list[0].HasModules {
		t.Errorf("%+v, %v", list, err)
	}
	// All is there: the second session asks for nothing.
	again := b.do("POST", "/A/workers/scripts/other/assets-upload-session", `{"manifest":{"/x":{"hash":"`+assets.Hash([]byte("content of noext"), "")+`","size":16}}}`)
	if again.Status != 200 || !strings.Contains(string(again.Body.Result), `"buckets":[]`) {
		t.Error(again.Text)
	}
}

func TestAssetUploadRefuses(t *testing.T) {
	t.Parallel()
	b := newBench(t, realWorkers(stillRuntime{}), nil)
	hash := assets.Hash([]byte("new"), "txt")
	a := b.do("POST", "/A/workers/scripts/w/assets-upload-session", `{"manifest":{"/x.txt":{"hash":"`+hash+`","size":3}}}`)
	var s struct{ JWT string }
	if err := jsonInto(a, &s); err != nil || s.JWT == "" {
		t.Fatal(err, a.Text)
	}
	upload := func(query, body string) *answer {
		return b.do("POST", "/A/workers/assets/upload"+query, body, "Authorization", "Bearer "+s.JWT, "Content-Type", "multipart/form-data; boundary=b")
	}
	part := func(name, body string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"; filename=\"" + name + "\"\r\nContent-Type: text/plain\r\n\r\n" + body + "\r\n--b--\r\n"
	}
	for name, a := range map[string]*answer{
		"not base64":       upload("", part(hash, "bmV3")),
		"cut":              upload("?base64=true", part(hash, "bmV3")[:40]),
		"wrong content":    upload("?base64=true", part(hash, "b2xk")),
		"not in manifest":  upload("?base64=true", part(strings.Repeat("0", 32), "bmV3")),
		"no text":          upload("?base64=true", part(hash, "!!!!")),
		"as it is, longer": b.do("POST", "/A/workers/assets/upload/"+hash, "newer", "Authorization", "Bearer "+s.JWT),
	} {
		if a.Status != 400 || a.code() == 0 {
			t.Errorf("%s: %d %s", name, a.Status, a.Text)
		}
	}
	if a := b.do("POST", "/A/workers/assets/upload/"+hash, "new", "Authorization", "Bearer "+s.JWT, "Content-Type", "application/null"); a.Status != 200 || !strings.Contains(a.Text, `"jwt":"ey`) {
		t.Errorf("%d %s", a.Status, a.Text)
	}
}

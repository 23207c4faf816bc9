package api_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/api"
)

// images is a client of the registry: the library that crane is made of.
type images struct {
	*bench

	password string
}

func newImages(t *testing.T) *images {
	t.Helper()
	b := newBench(t, realWorkers(stillRuntime{}), nil)
	return &images{b, b.credentials(t, "pull", "push")}
}

// credentials asks for them as wrangler does.
func (b *bench) credentials(t *testing.T, permissions ...string) string {
	t.Helper()
	in, _ := json.Marshal(map[string]any{"expiration_minutes": 15, "permissions": permissions})
	a := b.do("POST", "/A/containers/registries/registry.cloudflare.com/credentials", string(in), "Content-Type", "application/json")
	var out struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	if err := json.Unmarshal(a.Body.Result, &out); err != nil || out.Username == "" || out.Password == "" {
		t.Fatalf("credentials: %d %s", a.Status, a.Text)
	}
	return out.Password
}

func (i *images) ref(t *testing.T, rest string) name.Reference {
	t.Helper()
	r, err := name.ParseReference(strings.TrimPrefix(i.url, "http://")+"/"+i.account+"/"+rest, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (i *images) auth() remote.Option {
	return remote.WithAuth(&authn.Basic{Username: "v1", Password: i.password})
}

// call makes one request as the client that holds the password.
func (i *images) call(t *testing.T, method, path string, body io.Reader, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, i.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("v1", i.password)
	for k := 0; k+1 < len(header); k += 2 {
		req.Header.Set(header[k], header[k+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

// code reads the first code of an answer that is an error.
func code(t *testing.T, res *http.Response) string {
	t.Helper()
	var out struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	b, _ := io.ReadAll(res.Body)
	if json.Unmarshal(b, &out) != nil || len(out.Errors) == 0 || out.Errors[0].Message == "" {
		return fmt.Sprintf("%d %.80s", res.StatusCode, b)
	}
	return out.Errors[0].Code
}

func digestOf(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// TestImagePushPull sends an image and an index and reads them back, layer by layer.
func TestImagePushPull(t *testing.T) {
	i := newImages(t)
	img, err := random.Image(100_000, 3)
	if err != nil {
		t.Fatal(err)
	}
	tag := i.ref(t, "my/app:v1")
	if err := remote.Write(tag, img, i.auth()); err != nil {
		t.Fatal(err)
	}
	back, err := remote.Image(tag, i.auth())
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(back); err != nil {
		t.Errorf("what came back is not whole: %v", err)
	}
	want, _ := img.Digest()
	if got, _ := back.Digest(); got != want {
		t.Errorf("digest %s, pushed %s", got, want)
	}
	// Another repository gets the layers by mounting them.
	if err := remote.Write(i.ref(t, "other:latest"), back, i.auth()); err != nil {
		t.Errorf("to another repository: %v", err)
	}

	index, err := random.Index(1000, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(i.ref(t, "multi:v1"), index, i.auth()); err != nil {
		t.Fatal(err)
	}
	got, err := remote.Index(i.ref(t, "multi:v1"), i.auth())
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(got); err != nil {
		t.Errorf("the index that came back is not whole: %v", err)
	}

	tags, err := remote.List(i.ref(t, "my/app:v1").Context(), i.auth())
	if err != nil || len(tags) != 1 || tags[0] != "v1" {
		t.Errorf("tags: %v, %v", tags, err)
	}
	var catalog struct {
		Repositories map[string][]string `json:"repositories"`
	}
	res := i.call(t, "GET", "/v2/_catalog?tags=true", nil)
	if err := json.NewDecoder(res.Body).Decode(&catalog); err != nil || len(catalog.Repositories) != 3 || catalog.Repositories[i.account+"/my/app"][0] != "v1" {
		t.Errorf("catalog: %v, %v", catalog, err)
	}
}

// TestImageCatalogPages follows the links of a catalog that is longer than its page.
func TestImageCatalogPages(t *testing.T) {
	i := newImages(t)
	img, _ := random.Image(100, 1)
	for n := range 5 {
		if err := remote.Write(i.ref(t, fmt.Sprintf("r%d:v1", n)), img, i.auth()); err != nil {
			t.Fatal(err)
		}
	}
	reg, _ := name.NewRegistry(strings.TrimPrefix(i.url, "http://"), name.Insecure)
	all, err := remote.Catalog(t.Context(), reg, i.auth(), remote.WithPageSize(2))
	if err != nil || len(all) != 5 || all[4] != i.account+"/r4" {
		t.Errorf("catalog: %v, %v", all, err)
	}
}

// TestImageAccess holds who may do what.
func TestImageAccess(t *testing.T) {
	i := newImages(t)
	img, _ := random.Image(100, 1)
	pull := &images{i.bench, i.credentials(t, "pull")}
	var te *transport.Error
	if err := remote.Write(i.ref(t, "app:v1"), img, pull.auth()); !errors.As(err, &te) || te.StatusCode != http.StatusForbidden {
		t.Errorf("push with credentials to pull: %v", err)
	}
	if err := remote.Write(i.ref(t, "app:v1"), img, i.auth()); err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Image(i.ref(t, "app:v1"), pull.auth()); err != nil {
		t.Errorf("pull: %v", err)
	}
	if _, err := remote.Image(i.ref(t, "app:v1"), remote.WithAuth(&authn.Basic{Username: "any", Password: i.token})); err != nil {
		t.Errorf("pull with an API token: %v", err)
	}
	if _, err := remote.Image(i.ref(t, "app:v1")); err == nil {
		t.Error("anybody may pull")
	}
	expired := i.accounts.IssueTicket(accounts.Ticket{Account: i.account, Object: "pull,push", Action: api.ActionRegistry, Expires: time.Now().Add(-time.Second)})
	stranger := i.accounts.IssueTicket(accounts.Ticket{Account: strings.Repeat("f", 32), Object: "pull,push", Action: api.ActionRegistry, Expires: time.Now().Add(time.Hour)})
	upload := i.accounts.IssueTicket(accounts.Ticket{Account: i.account, Object: "pull,push", Action: "assets", Expires: time.Now().Add(time.Hour)})
	for password, want := range map[string]int{expired: 401, stranger: 403, upload: 401, "nonsense": 401, pull.password: 200} {
		c := &images{i.bench, password}
		if res := c.call(t, "GET", "/v2/"+i.account+"/app/manifests/v1", nil); res.StatusCode != want {
			t.Errorf("password %.20s…: %d, want %d", password, res.StatusCode, want)
		}
	}
	if res := pull.call(t, "GET", "/v2/_catalog", nil); res.StatusCode != http.StatusOK {
		t.Errorf("catalog: %d", res.StatusCode)
	}
	if res := pull.call(t, "PUT", "/v2/gc/layers", nil); res.StatusCode != http.StatusForbidden {
		t.Errorf("collection with credentials to pull: %d", res.StatusCode)
	}
	res := (&images{i.bench, ""}).call(t, "GET", "/v2/", nil)
	if res.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("no challenge: %d %v", res.StatusCode, res.Header)
	}
}

// TestImageResume cuts a connection in the middle of a layer, asks how much came,
// and goes on.
func TestImageResume(t *testing.T) {
	i := newImages(t)
	layer := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	repo := "/v2/" + i.account + "/app"
	start := i.call(t, "POST", repo+"/blobs/uploads/", nil)
	at := start.Header.Get("Location")
	if start.StatusCode != http.StatusAccepted || at == "" {
		t.Fatalf("begin: %d %v", start.StatusCode, start.Header)
	}
	r, w := io.Pipe()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPatch, i.url+at, r)
	req.SetBasicAuth("v1", i.password)
	go func() {
		_, _ = w.Write(layer[:300_000])
		_ = w.CloseWithError(errors.New("cut"))
	}()
	if res, err := http.DefaultTransport.RoundTrip(req); err == nil {
		res.Body.Close()
		t.Fatal("the connection was not cut")
	}
	var came int
	for end := time.Now().Add(10 * time.Second); came == 0 && time.Now().Before(end); {
		res := i.call(t, "GET", at, nil)
		if _, err := fmt.Sscanf(res.Header.Get("Range"), "0-%d", &came); err != nil || res.StatusCode != http.StatusNoContent {
			t.Fatalf("state: %d %v", res.StatusCode, res.Header)
		}
	}
	came++
	if came > 300_000 || came < 1000 {
		t.Fatalf("%d bytes came", came)
	}
	if res := i.call(t, "PATCH", at, bytes.NewReader(layer[:10]), "Content-Range", "0-9"); res.StatusCode != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("a part in the wrong place: %d", res.StatusCode)
	}
	res := i.call(t, "PATCH", at, bytes.NewReader(layer[came:700_000]), "Content-Range", fmt.Sprintf("%d-%d", came, 699_999))
	if res.StatusCode != http.StatusAccepted || res.Header.Get("Range") != "0-699999" {
		t.Fatalf("second part: %d %v", res.StatusCode, res.Header)
	}
	res = i.call(t, "PUT", at+"?digest="+digestOf(layer), bytes.NewReader(layer[700_000:]))
	if res.StatusCode != http.StatusCreated {
		t.Fatalf("end: %d %s", res.StatusCode, code(t, res))
	}
	res = i.call(t, "GET", repo+"/blobs/"+digestOf(layer), nil, "Range", "bytes=1048570-")
	if b, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusPartialContent || string(b) != "abcdef" {
		t.Errorf("a range: %d %q", res.StatusCode, b)
	}
	if res := i.call(t, "PATCH", at, strings.NewReader("x")); res.StatusCode != http.StatusNotFound {
		t.Errorf("after the end: %d", res.StatusCode)
	}
}

// TestImageBadInput holds what is refused, and by which code.
func TestImageBadInput(t *testing.T) {
	i := newImages(t)
	repo := "/v2/" + i.account + "/app"
	blob := func(content string) string {
		res := i.call(t, "POST", repo+"/blobs/uploads/?digest="+digestOf([]byte(content)), strings.NewReader(content))
		if res.StatusCode != http.StatusCreated {
			t.Fatalf("blob: %d %s", res.StatusCode, code(t, res))
		}
		return digestOf([]byte(content))
	}
	config, layer := blob("{}"), blob("layer")
	absent := digestOf([]byte("nothing"))
	const oci = "application/vnd.oci.image.manifest.v1+json"
	manifest := func(config string, size int, layer, rest string) string {
		return fmt.Sprintf(`{"schemaVersion":2,"config":{"digest":%q,"size":%d},"layers":[{"digest":%q,"size":5%s}]}`, config, size, layer, rest)
	}
	good := manifest(config, 2, layer, "")
	for _, c := range []struct {
		name, method, path, contentType, body, code string
	}{
		{"a layer of another digest", "POST", repo + "/blobs/uploads/?digest=" + absent, "", "something", "DIGEST_INVALID"},
		{"a digest that is none", "POST", repo + "/blobs/uploads/?digest=md5:12", "", "x", "DIGEST_INVALID"},
		{"an upload that is not there", "PATCH", repo + "/blobs/uploads/7c8f4d3e-0000-4000-8000-000000000000", "", "x", "BLOB_UPLOAD_UNKNOWN"},
		{"manifest with a missing layer", "PUT", repo + "/manifests/v1", oci, manifest(config, 2, absent, ""), "MANIFEST_BLOB_UNKNOWN"},
		{"manifest with a missing config", "PUT", repo + "/manifests/v1", oci, manifest(absent, 2, layer, ""), "MANIFEST_BLOB_UNKNOWN"},
		{"manifest with a wrong size", "PUT", repo + "/manifests/v1", oci, manifest(config, 3, layer, ""), "MANIFEST_INVALID"},
		{"manifest under another digest", "PUT", repo + "/manifests/" + absent, oci, good, "DIGEST_INVALID"},
		{"layer that is elsewhere", "PUT", repo + "/manifests/v1", oci, manifest(config, 2, layer, `,"urls":["http://169.254.169.254/"]`), "MANIFEST_INVALID"},
		{"manifest of schema 1", "PUT", repo + "/manifests/v1", "application/vnd.docker.distribution.manifest.v1+prettyjws", good, "MANIFEST_INVALID"},
		{"no JSON", "PUT", repo + "/manifests/v1", oci, "{", "MANIFEST_INVALID"},
		{"an index of a missing image", "PUT", repo + "/manifests/v1", "application/vnd.oci.image.index.v1+json", `{"schemaVersion":2,"manifests":[{"digest":"` + absent + `","size":5}]}`, "MANIFEST_BLOB_UNKNOWN"},
		{"manifest of 5 MB", "PUT", repo + "/manifests/v1", oci, `{"schemaVersion":2,"x":"` + strings.Repeat("x", 5<<20) + `"}`, "SIZE_INVALID"},
		{"a name in capitals", "PUT", "/v2/" + i.account + "/App/manifests/v1", oci, good, "NAME_INVALID"},
		{"a name with dots", "PUT", "/v2/" + i.account + "/../x/manifests/v1", oci, good, "NAME_INVALID"},
		{"a tag with a space", "GET", repo + "/manifests/a%20b", "", "", "MANIFEST_INVALID"},
		{"another account", "GET", "/v2/" + strings.Repeat("0", 32) + "/app/manifests/v1", "", "", "DENIED"},
		{"an unknown tag", "GET", repo + "/manifests/v9", "", "", "MANIFEST_UNKNOWN"},
		{"an unknown repository", "GET", "/v2/" + i.account + "/none/tags/list", "", "", "NAME_UNKNOWN"},
		{"a blob of another repository", "GET", "/v2/" + i.account + "/none/blobs/" + layer, "", "", "BLOB_UNKNOWN"},
	} {
		res := i.call(t, c.method, c.path, strings.NewReader(c.body), "Content-Type", c.contentType)
		if got := code(t, res); got != c.code {
			t.Errorf("%s: %d %s, want %s", c.name, res.StatusCode, got, c.code)
		}
	}
	if res := i.call(t, "PUT", repo+"/manifests/v1", strings.NewReader(good), "Content-Type", oci); res.StatusCode != http.StatusCreated {
		t.Errorf("the good one: %d %s", res.StatusCode, code(t, res))
	}
	// A tag goes; what it named stays under its digest until it is collected.
	if res := i.call(t, "DELETE", repo+"/manifests/v1", nil); res.StatusCode != http.StatusAccepted {
		t.Errorf("delete: %d", res.StatusCode)
	}
	if res := i.call(t, "GET", repo+"/manifests/"+digestOf([]byte(good)), nil); res.StatusCode != http.StatusOK {
		t.Errorf("by digest: %d", res.StatusCode)
	}
	if res := i.call(t, "PUT", "/v2/gc/layers", nil); res.StatusCode != http.StatusOK {
		t.Errorf("collect: %d", res.StatusCode)
	}
}

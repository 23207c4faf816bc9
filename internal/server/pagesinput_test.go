package server_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/server"
)

// sites is a platform with a site that serves, whatever comes in at the doors.
type sites struct {
	t    testing.TB
	info server.Info
	api  *client.Client
	late atomic.Int64 // nanoseconds that its clock is ahead
	http *http.Client
}

func startSites(t *testing.T) *sites {
	t.Helper()
	s := &sites{t: t, http: lone()}
	s.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	log := &lockedBuffer{}
	srv := server.New(server.Options{Config: configured(t, nil), Version: "test", Log: log, Now: func() time.Time {
		return time.Now().Add(time.Duration(s.late.Load()))
	}})
	if err := srv.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(context.Background()); err != nil {
			t.Errorf("close: %v\n%s", err, log)
		}
	})
	var err error
	if s.info, err = srv.Info(); err != nil {
		t.Fatal(err)
	}
	if s.api, err = client.New(s.info.APIURL+"/client/v4", s.info.Token, s.info.AccountID, client.Options{HTTP: s.http}); err != nil {
		t.Fatal(err)
	}
	s.project("web")
	s.deploy("web", map[string]string{"index.html": "home"})
	s.serves()
	return s
}

func (s *sites) project(name string) {
	s.t.Helper()
	if _, err := s.api.CreatePagesProject(s.t.Context(), name, "main", nil); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sites) deploy(project string, files map[string]string) client.PagesDeployment {
	s.t.Helper()
	site := make(fstest.MapFS)
	for name, text := range files {
		site[name] = &fstest.MapFile{Data: []byte(text)}
	}
	a, err := client.ReadAssets(s.t.Context(), site, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	d, err := s.api.DeployPages(s.t.Context(), project, &client.PagesUpload{Assets: a})
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// get asks a site; status and Location or the body.
func (s *sites) get(project, path string) string {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.info.EdgeURL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Host = project + "." + s.info.PagesDomain
	status, header, body := s.do(req)
	if to := header.Get("Location"); to != "" {
		body = to
	}
	return fmt.Sprint(status, " ", body)
}

func (s *sites) do(req *http.Request) (int, http.Header, string) {
	s.t.Helper()
	res, err := s.http.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(body)
}

// serves holds that the site is up.
func (s *sites) serves() {
	s.t.Helper()
	if got := s.get("web", "/"); got != "200 home" {
		s.t.Fatalf("the site answers %q", got)
	}
}

// call sends a body to the API and returns the status, and the code and message of the first error.
func (s *sites) call(method, path, bearer, contentType string, body []byte) (status, code int, message string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.info.APIURL+"/client/v4"+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	req.Header.Set("Content-Type", contentType)
	status, _, text := s.do(req)
	var envelope struct {
		Errors []struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if err := json.Unmarshal([]byte(text), &envelope); err != nil {
		s.t.Fatalf("%s %s answers %d %.300q", method, path, status, text)
	}
	if len(envelope.Errors) > 0 {
		code, message = envelope.Errors[0].Code, envelope.Errors[0].Message
	}
	return status, code, message
}

func (s *sites) uploadToken(project string) string {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.info.APIURL+"/client/v4/accounts/"+s.info.AccountID+"/pages/projects/"+project+"/upload-token", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.info.Token)
	_, _, text := s.do(req)
	var r struct {
		Result struct {
			JWT string `json:"jwt"`
		} `json:"result"`
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil || r.Result.JWT == "" {
		s.t.Fatalf("no upload token: %s", text)
	}
	return r.Result.JWT
}

// upload sends one content under a name.
func (s *sites) upload(token, hash, content string) (status, code int, message string) {
	s.t.Helper()
	body, err := json.Marshal([]map[string]any{{
		"key": hash, "value": base64.StdEncoding.EncodeToString([]byte(content)), "base64": true, "metadata": map[string]string{"contentType": "text/plain"},
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	return s.call(http.MethodPost, "/pages/assets/upload", token, "application/json", body)
}

// form is a deployment as it is sent; each part is a name and a text.
func form(tb testing.TB, parts ...string) (contentType string, body []byte) {
	tb.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		header := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name=%q`, parts[i])}}
		if strings.HasPrefix(parts[i], "_") {
			header.Set("Content-Disposition", fmt.Sprintf(`form-data; name=%q; filename=%q`, parts[i], parts[i]))
			header.Set("Content-Type", "application/octet-stream")
		}
		p, err := w.CreatePart(header)
		if err != nil {
			tb.Fatal(err)
		}
		_, _ = io.WriteString(p, parts[i+1])
	}
	_ = w.Close()
	return w.FormDataContentType(), b.Bytes()
}

func (s *sites) deployForm(project string, parts ...string) (status, code int, message string) {
	s.t.Helper()
	kind, body := form(s.t, parts...)
	return s.call(http.MethodPost, "/accounts/"+s.info.AccountID+"/pages/projects/"+project+"/deployments", s.info.Token, kind, body)
}

// refused holds that an answer is an error that says what to do, and that the site is up.
func (s *sites) refused(what string, status, code int, message string, wantStatus, wantCode int, says string) {
	s.t.Helper()
	if status != wantStatus || code != wantCode || !strings.Contains(message, says) {
		s.t.Errorf("%s: %d, code %d, %q; want %d, code %d, %q", what, status, code, message, wantStatus, wantCode, says)
	}
	s.serves()
}

// TestPagesUploadTokens uploads with tokens that will not do.
func TestPagesUploadTokens(t *testing.T) {
	s := startSites(t)
	s.project("other")
	hash := assets.Hash([]byte("late"), "txt")
	token := s.uploadToken("web")
	s.late.Store(int64(31 * time.Minute))
	status, code, message := s.upload(token, hash, "late")
	s.refused("a token that has expired", status, code, message, 401, 8000013, "has expired; begin the upload again")
	s.late.Store(0)

	status, code, message = s.upload(s.info.Token, hash, "late")
	s.refused("an API token", status, code, message, 401, 8000013, "not valid")
	status, code, message = s.call(http.MethodGet, "/accounts/"+s.info.AccountID+"/pages/projects", token, "application/json", nil)
	if status != 401 && status != 403 && status != 400 || code == 0 {
		t.Errorf("an upload token opens the API: %d %d %q", status, code, message)
	}
	forged := token[:len(token)-4] + "AAAA"
	status, code, message = s.upload(forged, hash, "late")
	s.refused("a forged token", status, code, message, 401, 8000013, "not valid")

	// What is uploaded for one project under a name that is not its own never becomes another project's.
	odd := assets.Hash([]byte("good"), "odd")
	if status, code, message = s.upload(s.uploadToken("other"), odd, "evil"); status != 200 {
		t.Fatalf("an upload: %d %d %q", status, code, message)
	}
	status, code, message = s.deployForm("web", "manifest", `{"/x.odd":"`+odd+`"}`, "branch", "main")
	s.refused("a content of another project", status, code, message, 400, 8000021, "was not uploaded")
	status, code, message = s.deployForm("other", "manifest", `{"/x.odd":"`+odd+`"}`, "branch", "main")
	s.refused("a content that is another one", status, code, message, 400, 8000021, "was not uploaded")
}

// TestPagesRefusedForms deploys what is refused, each with its sentence.
func TestPagesRefusedForms(t *testing.T) {
	s := startSites(t)
	home := assets.Hash([]byte("home"), "html")
	for _, c := range []struct {
		name         string
		parts        []string
		status, code int
		says         string
	}{
		{"hashes that were not uploaded", []string{"manifest", `{"/a.txt":"00000000000000000000000000000000"}`}, 400, 8000021, `"/a.txt" (00000000000000000000000000000000) was not uploaded`},
		{"a hash that is none", []string{"manifest", `{"/a.txt":"../../etc/passwd"}`}, 400, 8000020, "hex digits"},
		{"a path out of the site", []string{"manifest", `{"/../a.txt":"` + home + `"}`}, 400, 8000022, "manifest is refused"},
		{"a path without a slash", []string{"manifest", `{"a.txt":"` + home + `"}`}, 400, 8000022, "manifest is refused"},
		{"a manifest that is a list", []string{"manifest", `[]`}, 400, 8000022, "not an object"},
		{"a manifest that breaks off", []string{"manifest", `{"/a`}, 400, 8000022, "not an object"},
		{"no manifest", []string{"branch", "main"}, 400, 10001, "no part manifest"},
		{"two manifests", []string{"manifest", "{}", "manifest", "{}"}, 400, 10001, "two parts"},
		{"a part that nobody knows", []string{"manifest", "{}", "surprise", "x"}, 400, 10001, "surprise"},
		{"rules that are too long", []string{"manifest", `{"/index.html":"` + home + `"}`, "_redirects", strings.Repeat("/a /b\n", 1<<20)}, 413, 10413, "_redirects"},
		{"metadata that is none", []string{"manifest", `{"/index.html":"` + home + `"}`, "_worker.bundle", "--x\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{\"main\r\n--x--\r\n"}, 400, 8000001, "is not JSON"},
		{"a bundle that is none", []string{"manifest", `{"/index.html":"` + home + `"}`, "_worker.bundle", "export default {}"}, 400, 10021, "does not begin with a boundary"},
	} {
		status, code, message := s.deployForm("web", c.parts...)
		s.refused(c.name, status, code, message, c.status, c.code, c.says)
	}
}

// TestPagesRedirectLoop: rules that lead in a circle are cut, with a warning, and no visitor goes round.
func TestPagesRedirectLoop(t *testing.T) {
	s := startSites(t)
	s.project("loop")
	d := s.deploy("loop", map[string]string{
		"index.html": "home", "a.html": "page a",
		"_redirects": "/a /b\n/b /c\n/c /a\n/self /self\n/x/* /y/:splat 200\n/y/* /x/:splat 200\n/good /a.html 301\n",
	})
	if d.Failed() {
		t.Fatalf("the deployment has failed: %+v", d.Stage)
	}
	for _, path := range []string{"/", "/a", "/b", "/c", "/self", "/x/1", "/y/1"} {
		at := path
		for hops := 0; ; hops++ {
			got := s.get("loop", at)
			var status int
			var to string
			if _, err := fmt.Sscan(got, &status, &to); err != nil && status == 0 {
				t.Fatal(got)
			}
			if status < 300 || status >= 400 {
				break
			}
			if at = to; hops == 5 {
				t.Errorf("%s goes round: after five redirects it is at %s", path, at)
				break
			}
		}
	}
	lines, err := s.api.PagesLog(t.Context(), "loop", d.ID)
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(lines); strings.Count(text, "in a circle") != 2 {
		t.Errorf("the log does not warn of the circles: %s", text)
	}
	if got := s.get("loop", "/good"); got != "301 /a.html" {
		t.Errorf("the rule beside the circles: %q", got)
	}
	s.serves()
}

// TestPagesTooManyRedirects: of 2,001 static and 101 dynamic rules the last of each is ignored, and the log says so.
func TestPagesTooManyRedirects(t *testing.T) {
	s := startSites(t)
	s.project("rules")
	var rules strings.Builder
	for i := range 2001 {
		fmt.Fprintf(&rules, "/s%d /to-s%d\n", i, i)
	}
	for i := range 101 {
		fmt.Fprintf(&rules, "/d%d/* /to-d%d/:splat\n", i, i)
	}
	d := s.deploy("rules", map[string]string{"index.html": "home", "404.html": "none", "_redirects": rules.String()})
	if d.Failed() {
		t.Fatalf("the deployment has failed: %+v", d.Stage)
	}
	for path, want := range map[string]string{
		"/s0": "302 /to-s0", "/s1999": "302 /to-s1999", "/s2000": "404 none", "/d0/x": "302 /to-d0/x", "/d99/x": "302 /to-d99/x", "/d100/x": "404 none", "/": "200 home",
	} {
		if got := s.get("rules", path); got != want {
			t.Errorf("%s = %q, want %q", path, got, want)
		}
	}
	lines, err := s.api.PagesLog(t.Context(), "rules", d.ID)
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(lines); !strings.Contains(text, "2000") || !strings.Contains(text, "100") {
		t.Errorf("the log does not say which rules are ignored: %.1000s", text)
	}
}

// TestPagesNoise sends what no client sends: each answer is an envelope, none is a failure of the platform's own, and
// the site stays up. What is mutated is what wrangler sends.
func TestPagesNoise(t *testing.T) {
	s := startSites(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	home := assets.Hash([]byte("home"), "html")
	manifest := `{"/index.html":"` + home + `","/b.html":"` + home + `"}`
	bundle := "--x\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{\"main_module\":\"a.js\",\"bindings\":[{\"type\":\"plain_text\",\"name\":\"A\",\"text\":\"1\"}]}\r\n" +
		"--x\r\nContent-Disposition: form-data; name=\"a.js\"; filename=\"a.js\"\r\nContent-Type: application/javascript+module\r\n\r\nexport default {}\r\n--x--\r\n"
	configs := `{"deployment_configs":{"production":{"env_vars":{"A":{"type":"secret_text","value":"x"}},"kv_namespaces":{"KV":{"namespace_id":"0"}},"compatibility_date":"2026-01-01","fail_open":true},"preview":null}}`
	routes := `{"version":1,"include":["/api/*"],"exclude":["/api/x"]}`
	project := "/accounts/" + s.info.AccountID + "/pages/projects/noise"
	s.project("noise")
	rounds := 150
	if testing.Short() {
		rounds = 20
	}
	for i := range rounds {
		var status, code int
		var message string
		switch i % 5 {
		case 0:
			status, code, message = s.deployForm("noise", "manifest", mutate(random, manifest), "branch", "main")
		case 1:
			status, code, message = s.deployForm("noise", "manifest", manifest, "_headers", mutate(random, "/*\n  X: y\n  ! Z\n"), "_redirects", mutate(random, "/a/:x /b/:x 301\n"), "_routes.json", mutate(random, routes))
		case 2:
			status, code, message = s.deployForm("noise", "manifest", manifest, "branch", mutate(random, "main"), "_worker.bundle", mutate(random, bundle))
		case 3:
			status, code, message = s.call(http.MethodPatch, project, s.info.Token, "application/json", []byte(mutate(random, configs)))
		case 4:
			kind, body := form(t, "manifest", manifest, "branch", "main")
			status, code, message = s.call(http.MethodPost, project+"/deployments", s.info.Token, kind, []byte(mutate(random, string(body))))
		}
		if status >= 500 {
			t.Errorf("round %d: %d, code %d, %q", i, status, code, message)
		}
	}
	s.serves()
}

// mutate changes, doubles, cuts or adds a few bytes.
func mutate(random *rand.Rand, text string) string {
	b := []byte(text)
	for range 1 + random.IntN(3) {
		if len(b) < 2 {
			break
		}
		at := random.IntN(len(b))
		switch random.IntN(4) {
		case 0:
			b[at] = byte(random.Uint32())
		case 1:
			b = append(b[:at:at], b[min(len(b), at+1+random.IntN(8)):]...)
		case 2:
			b = append(b[:at:at], append(bytes.Clone(b[at:min(len(b), at+16)]), b[at:]...)...)
		case 3:
			b = b[:at+1]
		}
	}
	return string(b)
}

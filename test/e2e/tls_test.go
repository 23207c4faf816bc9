package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/test/acmetest"
)

// secureGet asks p over HTTPS, by one version of HTTP. An error is that of the connection.
func (p *platform) secureGet(t *testing.T, roots *x509.CertPool, version, url string) (answer, error) {
	t.Helper()
	tr := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true, DisableCompression: true, Protocols: new(http.Protocols),
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, strings.TrimPrefix(p.TLSURL, "https://"))
		},
	}
	tr.Protocols.SetHTTP1(version == "HTTP/1.1")
	tr.Protocols.SetHTTP2(version == "HTTP/2.0")
	c := http.Client{Transport: tr, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.Proto != version {
		t.Errorf("%s came over %s, not %s", url, res.Proto, version)
	}
	return answer{res.StatusCode, res.Header, string(b)}, nil
}

// TestLocalTLS is HTTPS as a developer has it: a worker and a Pages site, by the platform's own authority.
func TestLocalTLS(t *testing.T) {
	t.Parallel()
	p := start(t, "--tls-mode", "local", "--tls-port", "0", "--tls-redirect", "--tls-hsts", "1h")
	dir := project(t, map[string]string{
		"wrangler.json": `{"name":"app","main":"index.js","compatibility_date":"2026-09-01"}`,
		"index.js":      `export default { fetch(r) { return new Response(r.url + " " + r.cf.httpProtocol) } }`,
	})
	p.must(t, dir, "deploy")
	root, stderr, code := p.cli(t, "trust", "--print")
	roots := x509.NewCertPool()
	if code != 0 || !roots.AppendCertsFromPEM([]byte(root)) {
		t.Fatalf("trust --print: %d %s%s", code, root, stderr)
	}
	host := p.host("app")
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		a, err := p.secureGet(t, roots, version, "https://"+host+"/x?y")
		want := "https://" + host + "/x?y " + strings.TrimSuffix(version, ".0")
		if err != nil || a.Body != want || a.Header.Get("Strict-Transport-Security") != "max-age=3600" {
			t.Errorf("%v %d %q %v, want %q", err, a.Status, a.Body, a.Header, want)
		}
	}
	a := p.get(t, host, "/x?y")
	if want := "https://" + host + ":" + tlsPort(t, p) + "/x?y"; a.Status != 308 || a.Header.Get("Location") != want {
		t.Errorf("%d %q, want a redirect to %q", a.Status, a.Header.Get("Location"), want)
	}
	if _, err := p.secureGet(t, roots, "HTTP/2.0", "https://nobody."+p.WorkersDomain+"/"); err == nil {
		t.Error("a host that nobody has was given a certificate")
	}
}

func tlsPort(t *testing.T, p *platform) string {
	t.Helper()
	u, err := url.Parse(p.TLSURL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

// freePort is one that nothing listens on now.
func freeTCPPort(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// TestSiteDomains gives a site domains of its own: one for its production, one for its branches.
func TestSiteDomains(t *testing.T) {
	httpPort, secure := freeTCPPort(t), freeTCPPort(t)
	ca := acmetest.Start(t, httpPort, secure)
	ca.Block(t, "blocked.example.test")
	rootsFile := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(rootsFile, ca.RootsPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, "--port", strconv.Itoa(httpPort), "--tls-mode", "acme", "--tls-port", strconv.Itoa(secure), "--tls-acme", ca.Directory, "--tls-acme-roots", rootsFile)
	dir := project(t, map[string]string{"site/index.html": "<link rel=preload href=/a.css as=style>home", "next/index.html": "next"})
	p.must(t, dir, "pages", "project", "create", "docs", "--production-branch", "main")
	p.must(t, dir, "pages", "project", "create", "other", "--production-branch", "main")
	p.must(t, dir, "pages", "deploy", "site", "--project-name", "docs", "--branch", "main", "--commit-dirty")
	p.must(t, dir, "pages", "deploy", "next", "--project-name", "docs", "--branch", "next", "--commit-dirty")
	for _, domain := range []string{"www.example.test", "*.preview.example.test", "blocked.example.test"} {
		if out, stderr, code := p.cli(t, "domain", "add", domain, "--project", "docs"); code != 0 {
			t.Fatalf("domain add %s: %d %s%s", domain, code, out, stderr)
		}
	}
	if out, stderr, code := p.cli(t, "domain", "add", "www.example.test", "--project", "other"); code == 0 || !strings.Contains(stderr, "8000018") {
		t.Errorf("a domain of another project: %d %s%s", code, out, stderr)
	}
	if out, stderr, code := p.cli(t, "domain", "add", "x.workers."+p.Domain, "--project", "docs"); code == 0 || !strings.Contains(stderr, "8000015") {
		t.Errorf("a domain of the platform's: %d %s%s", code, out, stderr)
	}
	for host, want := range map[string]string{"www.example.test": "home", "next.preview.example.test": "next"} {
		if a := p.get(t, host, "/"); !strings.HasSuffix(a.Body, want) || (a.Header.Get("X-Robots-Tag") == "noindex") != (want == "next") {
			t.Errorf("%s: %d %q %v", host, a.Status, a.Body, a.Header)
		}
		a, err := p.secureGet(t, ca.Issued, "HTTP/2.0", "https://"+host+"/")
		if err != nil || !strings.HasSuffix(a.Body, want) {
			t.Errorf("https://%s: %v %q", host, err, a.Body)
		}
	}
	if _, err := p.secureGet(t, ca.Issued, "HTTP/2.0", "https://nobody.preview.example.test/"); err == nil {
		t.Error("a branch that is not there was given a certificate")
	}
	var out string
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end) && !strings.Contains(out, "error: "); time.Sleep(200 * time.Millisecond) {
		out, _, _ = p.cli(t, "domain", "list", "--project", "docs")
	}
	if !strings.Contains(out, "error: ") || !strings.Contains(out, "tried again") || strings.Count(out, "active") != 2 {
		t.Errorf("domain list:\n%s", out)
	}
	for name, want := range map[string]string{"www.example.test": `"status":"active"`, "blocked.example.test": `"status":"error"`, "*.preview.example.test": `"status":"active"`} {
		if a := p.api(t, http.MethodGet, "/pages/projects/docs/domains/"+name, nil); a.Status != 200 || !strings.Contains(a.Body, want) {
			t.Errorf("GET of the domain %s: %d %s", name, a.Status, a.Body)
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodPatch, http.MethodDelete} {
		if a := p.api(t, method, "/pages/projects/other/domains/www.example.test", nil); a.Status != 404 {
			t.Errorf("%s of another project's domain: %d %s", method, a.Status, a.Body)
		}
	}
	if out, stderr, code := p.cli(t, "domain", "retry", "blocked.example.test", "--project", "docs"); code != 0 {
		t.Errorf("domain retry: %d %s%s", code, out, stderr)
	}
	if out := p.must(t, dir, "pages", "project", "list"); !strings.Contains(out, "www.example.test") {
		t.Errorf("wrangler does not list the domain:\n%s", out)
	}
	if out, stderr, code := p.cli(t, "domain", "delete", "www.example.test", "--project", "docs"); code != 0 {
		t.Errorf("domain delete: %d %s%s", code, out, stderr)
	}
	if a := p.get(t, "www.example.test", "/"); a.Status != 404 {
		t.Errorf("a domain that was taken away: %d %q", a.Status, a.Body)
	}
}

// TestACME gives a custom domain a certificate by a real certificate authority, and keeps the site up when that
// says nothing.
func TestACME(t *testing.T) {
	httpPort, secure := freeTCPPort(t), freeTCPPort(t)
	ca := acmetest.Start(t, httpPort, secure)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	rootsFile := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(rootsFile, ca.RootsPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	args := func(directory string) []string {
		return []string{"--port", strconv.Itoa(httpPort), "--tls-mode", "acme", "--tls-port", strconv.Itoa(secure), "--tls-acme", directory, "--tls-acme-roots", rootsFile, "--tls-redirect"}
	}
	p := start(t, args("https://"+silent.Addr().String()+"/dir")...)
	dir := project(t, map[string]string{
		"wrangler.json": `{"name":"shop","main":"index.js","compatibility_date":"2026-09-01","routes":[{"pattern":"shop.example.test","custom_domain":true},"*.example.test/wild/*"]}`,
		"index.js":      `export default { fetch(r) { return new Response("shop " + new URL(r.url).protocol) } }`,
	})
	if out, stderr, code := p.cli(t, "zone", "add", "example.test"); code != 0 {
		t.Fatalf("zone add: %d %s%s", code, out, stderr)
	}
	p.must(t, dir, "deploy")
	if a := p.get(t, "shop.example.test", "/"); a.Body != "shop http:" {
		t.Errorf("while the authority says nothing: %d %q", a.Status, a.Body)
	}

	p.stop(t)
	p.args = args(ca.Directory)
	p.up(t)
	var a answer
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if a, err = p.secureGet(t, ca.Issued, "HTTP/2.0", "https://shop.example.test/"); err == nil {
			break
		}
	}
	if err != nil || a.Body != "shop https:" {
		t.Fatalf("%v %d %q\n%s", err, a.Status, a.Body, tail(p.stderr.String(), 3000))
	}
	if a := p.get(t, "shop.example.test", "/"); a.Status != 308 {
		t.Errorf("a plain request: %d %q", a.Status, a.Body)
	}
	// A route for all names is no reason to order a certificate for each name that a stranger thinks of.
	if a := p.get(t, "any.example.test", "/wild/"); a.Body != "shop http:" {
		t.Errorf("a name of the wildcard route: %d %q", a.Status, a.Body)
	}
	if _, err := p.secureGet(t, ca.Issued, "HTTP/2.0", "https://any.example.test/wild/"); err == nil {
		t.Error("a name of a wildcard route was given a certificate")
	}
}

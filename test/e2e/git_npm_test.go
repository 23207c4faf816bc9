package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// registry is a package registry with one package, on an address that builds reach
// by their proxy only.
type registry struct {
	url       string
	integrity string
	asked     atomic.Int64
	server    *httptest.Server
}

func newRegistry(t *testing.T) *registry {
	t.Helper()
	var pack bytes.Buffer
	z := gzip.NewWriter(&pack)
	w := tar.NewWriter(z)
	for name, text := range map[string]string{
		"package/package.json": `{"name":"dep","version":"1.0.0","main":"index.js","bin":{"dep":"cli.js"}}`,
		"package/index.js":     `module.exports = "from the dependency"`,
		"package/cli.js":       "#!/usr/bin/env node\nrequire('fs').mkdirSync('dist', {recursive: true}); require('fs').writeFileSync('dist/index.html', require('./index.js'))\n",
	} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(text))
	}
	w.Close()
	z.Close()
	sum := sha512.Sum512(pack.Bytes())
	r := &registry{integrity: "sha512-" + base64.StdEncoding.EncodeToString(sum[:])}
	ln, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	r.server = &httptest.Server{Listener: ln, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.asked.Add(1)
		if req.URL.Path != "/dep/-/dep-1.0.0.tgz" {
			http.NotFound(w, req)
			return
		}
		w.Write(pack.Bytes())
	})}}
	r.server.Start()
	t.Cleanup(r.server.Close)
	r.url = "http://" + ln.Addr().String()
	return r
}

func (r *registry) files() map[string]string {
	return map[string]string{
		"package.json": `{"name":"app","version":"1.0.0","private":true,"scripts":{"build":"dep"},"dependencies":{"dep":"1.0.0"}}`,
		".npmrc":       "registry=" + r.url + "/\nfetch-retries=0\n",
		"package-lock.json": fmt.Sprintf(`{"name":"app","version":"1.0.0","lockfileVersion":3,"requires":true,"packages":{
			"":{"name":"app","version":"1.0.0","dependencies":{"dep":"1.0.0"}},
			"node_modules/dep":{"version":"1.0.0","resolved":%q,"integrity":%q,"bin":{"dep":"cli.js"}}}}`, r.url+"/dep/-/dep-1.0.0.tgz", r.integrity),
	}
}

// TestGitDependencies installs what the lock file names: through the platform's
// proxy where that is allowed, from the cache after that, and not at all where
// builds have no network.
func TestGitDependencies(t *testing.T) {
	t.Parallel()
	r := newRegistry(t)
	_, port, _ := strings.Cut(strings.TrimPrefix(r.url, "http://"), ":")
	build := map[string]any{"build_command": "npm run build", "destination_dir": "dist"}

	p := start(t, "--builds-network", "public", "--egress-allow", "127.0.0.2/32:"+port)
	c := p.site(t, "deps", build, r.files())
	wantAll(t, c.git(t, "push", "origin", "main"), "remote: $ npm ci", "remote: $ npm run build", "Deployed: ")
	if a := p.get(t, p.pagesHost("", "deps"), "/"); a.Body != "from the dependency" {
		t.Errorf("the site is %d %q", a.Status, a.Body)
	}
	asked := r.asked.Load()
	if asked == 0 {
		t.Error("nobody asked the registry")
	}
	rewrite(t, c.dir, "more.txt", "x")
	c.commit(t, "the same dependencies")
	wantAll(t, c.git(t, "push", "origin", "main"), "remote: $ npm ci", "Deployed: ")
	if now := r.asked.Load(); now != asked {
		t.Errorf("the registry was asked %d times more for what is cached", now-asked)
	}
	// The proxy is the only way, and it keeps the rules of workers.
	rewrite(t, c.dir, "package.json", `{"name":"app","version":"1.0.0","private":true,"dependencies":{"dep":"1.0.0"},"scripts":{"build":"node try.js"}}`)
	rewrite(t, c.dir, "try.js", `
const net = require("net"), http = require("http");
const proxy = new URL(process.env.HTTP_PROXY);
const api = `+"`"+strings.TrimPrefix(p.APIURL, "http://")+"`"+`;
const tunnel = (to) => new Promise((done) => {
  http.request({ host: proxy.hostname, port: proxy.port, method: "CONNECT", path: to }).on("connect", (r, s) => { s.destroy(); done(to.replace(/:.*/, "") + " -> " + r.statusCode); }).on("error", (e) => done(e.code)).end();
});
const direct = (host, port) => new Promise((done) => {
  const s = net.connect({ host, port }, () => done("connected")).on("error", (e) => done(e.code)); s.setTimeout(2000, () => done("timeout"));
});
(async () => {
  console.log("direct", await direct("127.0.0.2", `+port+`), await direct(...api.split(":")));
  console.log("metadata", await tunnel("169.254.169.254:80"));
  console.log("api", await tunnel(api));
  process.exit(5);
})();`)
	c.commit(t, "tries")
	out := c.git(t, "push", "origin", "main")
	wantAll(t, out, "direct ECONNREFUSED ECONNREFUSED", "metadata 169.254.169.254 -> 502", "api 127.0.0.1 -> 502")

	closed := start(t)
	c2 := closed.site(t, "deps", build, r.files())
	asked = r.asked.Load()
	wantAll(t, c2.git(t, "push", "origin", "main"), "Error: the command exited with code 1")
	if now := r.asked.Load(); now != asked {
		t.Error("a build without network reached the registry")
	}
}

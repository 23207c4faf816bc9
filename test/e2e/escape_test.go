package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// prisoner tries to get out in JavaScript and says what led out.
const prisoner = `
	import { connect } from "cloudflare:sockets";
	async function get(url, init) {
		const response = await fetch(url, { redirect: "follow", ...init });
		const text = await response.text();
		if (response.headers.has("selvage-error")) throw new Error(response.headers.get("selvage-error"));
		return text;
	}
	async function dial(address) {
		const socket = connect(address);
		await socket.opened;
		const writer = socket.writable.getWriter();
		await writer.write(new TextEncoder().encode("GET /secret HTTP/1.0\r\n\r\n"));
		const { value } = await socket.readable.getReader().read();
		return new TextDecoder().decode(value);
	}
	export default { async fetch(request, env) {
		const prey = await request.json();
		const out = {};
		for (const [name, way] of Object.entries({
			"loopback port": () => get("http://127.0.0.1:" + prey.port + "/secret"),
			"loopback by name": () => get("http://localhost:" + prey.port + "/secret"),
			"loopback in IPv6": () => get("http://[::1]:" + prey.port + "/secret"),
			"loopback in IPv6 as IPv4": () => get("http://[::ffff:127.0.0.1]:" + prey.port + "/secret"),
			"loopback as a number": () => get("http://2130706433:" + prey.port + "/secret"),
			"loopback in octal": () => get("http://0177.0.0.1:" + prey.port + "/secret"),
			"any address": () => get("http://0.0.0.0:" + prey.port + "/secret"),
			"own address": () => get("http://" + prey.own + ":" + prey.port + "/secret"),
			"metadata address": () => get("http://169.254.169.254/latest/meta-data/"),
			"metadata by name": () => get("http://metadata.google.internal/computeMetadata/v1/"),
			"the API": () => get(prey.api + "/healthz"),
			"Host of another": () => get("http://127.0.0.1:" + prey.port + "/secret", { headers: { Host: prey.host } }),
			"own name, address of loopback in Host": () => get("http://" + prey.host + "/", { headers: { Host: "127.0.0.1:" + prey.port } }),
			"redirect to loopback": () => get("http://" + prey.host + "/redirect?" + encodeURIComponent("http://127.0.0.1:" + prey.port + "/secret")),
			"connect to loopback": () => dial("127.0.0.1:" + prey.port),
			"connect to the metadata address": () => dial("169.254.169.254:80"),
			"connect into the edge": () => dial(prey.host + ":80"),
			"file URL": () => get("file:///etc/passwd"),
			"unix URL": () => get("unix:" + prey.socket),
			"socket as a host": () => get("http://unix:" + encodeURIComponent(prey.socket) + "/"),
			"asset by dots": async () => (await env.ASSETS.fetch("http://x/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd")).text(),
			"node:fs": async () => (await import("node:fs")).readFileSync("/etc/passwd", "utf8"),
			"node:fs of the key": async () => (await import("node:fs")).readFileSync(prey.key, "utf8"),
			"node:child_process": async () => (await import("node:child_process")).execSync("id").toString(),
			"node:net": async () => { const net = await import("node:net"); return new Promise((resolve, reject) => { const s = net.connect(prey.port, "127.0.0.1"); s.on("error", reject); s.on("data", (d) => resolve(d.toString())); s.write("GET /secret HTTP/1.0\r\n\r\n"); setTimeout(() => reject(new Error("nothing")), 1000); }); },
			"the platform's environment": async () => { const p = (await import("node:process")).default; return JSON.stringify(p.env); },
		})) {
			try { out[name] = String(await way()).slice(0, 2000); } catch (e) { out[name] = ""; }
		}
		return Response.json(out);
	} };`

const redirector = `export default { fetch(request) {
	const url = new URL(request.url);
	if (url.pathname === "/redirect") return Response.redirect(decodeURIComponent(url.search.slice(1)), 302);
	return new Response("edge");
} };`

// TestWorkerStaysIn deploys a worker that tries every way out that JavaScript
// has, on a machine where each leads to something that gives itself away.
func TestWorkerStaysIn(t *testing.T) {
	const secret = "s3cret-of-the-machine"
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, secret) }))
	listener, err := net.Listen("tcp", ":0") // on every address of this machine
	if err != nil {
		t.Fatal(err)
	}
	server.Listener = listener
	server.Start()
	defer server.Close()
	tcp, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal("no port")
	}
	socket := filepath.Join(t.TempDir(), "s")
	other, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	go http.Serve(other, server.Config.Handler)

	p := start(t, "--isolation", "require")
	p.must(t, worker(t, "redirector", redirector), "deploy")
	dir := project(t, map[string]string{
		"wrangler.json": `{"name":"prisoner","main":"index.js","compatibility_date":"2026-09-01","compatibility_flags":["nodejs_compat"],"assets":{"directory":"public","binding":"ASSETS"}}`,
		"index.js":      prisoner, "public/a.txt": "an asset",
	})
	if out, err := p.wrangler(t, dir, "deploy"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	key := filepath.Join(p.data, "keys", "master")
	if _, err := os.Stat(key); err != nil {
		t.Fatal(err)
	}
	prey, err := json.Marshal(map[string]any{
		"port": tcp.Port, "own": ownAddress(t), "api": p.APIURL, "host": p.host("redirector"), "socket": socket, "key": key,
	})
	if err != nil {
		t.Fatal(err)
	}
	a := do(t, p.request(t, http.MethodPost, p.host("prisoner"), "/", strings.NewReader(string(prey))))
	var out map[string]string
	if err := json.Unmarshal([]byte(a.Body), &out); err != nil || len(out) < 20 {
		t.Fatalf("%d %q: %v", a.Status, a.Body, err)
	}
	for name, got := range out {
		for _, proof := range []string{secret, "root:", "instance-id", "uid=", "PATH", p.data} {
			if strings.Contains(got, proof) {
				t.Errorf("%q leads out: %q", name, got)
			}
		}
	}
	if got := out["the API"]; got != "" {
		t.Errorf("the API answers a worker: %q", got)
	}
	if got := out["connect into the edge"]; got != "" {
		t.Errorf("a raw connection into the edge: %q", got)
	}
	// It can fetch at all, and the URL decides where to, not Host.
	if got := out["own name, address of loopback in Host"]; got != "edge" {
		t.Errorf("a fetch of a name of the platform: %q", got)
	}
	for name, got := range out {
		t.Logf("%s: %.80q", name, got)
	}
}

// ownAddress is one of this machine's that is not loopback, or loopback where
// there is none.
func ownAddress(t *testing.T) string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil {
			return n.IP.String()
		}
	}
	return "127.0.0.1"
}

package e2e

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func walk(dir string, visit func(path string, d os.DirEntry)) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			visit(path, d)
		}
		return err
	})
}

const streams = `export default { async fetch(req) {
	const url = new URL(req.url);
	switch (url.pathname) {
	case "/echo": return new Response(req.body, { headers: { "x-method": req.method } });
	case "/sum": {
		let n = 0; for await (const chunk of req.body) n += chunk.byteLength;
		return Response.json({ n });
	}
	case "/big": {
		const { readable, writable } = new FixedLengthStream(Number(url.searchParams.get("n")));
		(async () => { const w = writable.getWriter(); const b = new Uint8Array(65536).fill(120); let left = Number(url.searchParams.get("n"));
			while (left > 0) { const k = Math.min(left, b.length); await w.write(b.subarray(0, k)); left -= k } await w.close() })();
		return new Response(readable);
	}
	case "/events": {
		const { readable, writable } = new TransformStream();
		(async () => { const w = writable.getWriter(); const e = new TextEncoder();
			for (let i = 0; i < 3; i++) { await w.write(e.encode("data: " + i + "\n\n")); await scheduler.wait(400) } await w.close() })();
		return new Response(readable, { headers: { "content-type": "text/event-stream" } });
	}
	case "/ws": {
		const [client, server] = Object.values(new WebSocketPair());
		server.accept(); server.addEventListener("message", m => server.send("you said " + m.data));
		return new Response(null, { status: 101, webSocket: client });
	}
	case "/facts": return Response.json({ cf: req.cf, headers: Object.fromEntries(req.headers), url: req.url });
	case "/log": console.log("a line", { n: 1 }); return new Response("logged");
	case "/throw": throw new Error("thrown in the handler");
	}
	return new Response("none", { status: 404 });
} }`

func deployStreams(t *testing.T) (*platform, string) {
	t.Helper()
	p := start(t)
	if err := create(t.Context(), p.client(t), "streams", streams); err != nil {
		t.Fatal(err)
	}
	return p, p.host("streams")
}

func TestStreamedBodies(t *testing.T) {
	t.Parallel()
	p, host := deployStreams(t)
	const size = 50 << 20
	a := do(t, p.request(t, http.MethodPost, host, "/sum", io.LimitReader(zeros{}, size)))
	if want := fmt.Sprintf(`{"n":%d}`, size); a.Body != want {
		t.Errorf("a chunked upload of %d bytes: %d %s", size, a.Status, a.Body)
	}
	if a := p.get(t, host, fmt.Sprintf("/big?n=%d", size)); len(a.Body) != size {
		t.Errorf("a download of %d bytes came as %d", size, len(a.Body))
	}
	payload := strings.Repeat("0123456789abcdef", 1<<16)
	a = do(t, p.request(t, http.MethodPost, host, "/echo", strings.NewReader(payload)))
	if got, want := sha256.Sum256([]byte(a.Body)), sha256.Sum256([]byte(payload)); got != want {
		t.Errorf("the echo of 1 MiB has hash %s", hex.EncodeToString(got[:]))
	}
	req := p.request(t, http.MethodPost, host, "/echo", strings.NewReader("now"))
	req.Header.Set("Expect", "100-continue")
	if a := do(t, req); a.Body != "now" {
		t.Errorf("with Expect: %d %q", a.Status, a.Body)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestServerSentEventsAreNotHeldBack(t *testing.T) {
	t.Parallel()
	p, host := deployStreams(t)
	res, err := http.DefaultTransport.RoundTrip(p.request(t, http.MethodGet, host, "/events", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	var at []time.Time
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "data:") {
			at = append(at, time.Now())
		}
	}
	if len(at) != 3 || at[2].Sub(at[0]) < 500*time.Millisecond {
		t.Errorf("%d events at %v: they came in one piece", len(at), at)
	}
}

func TestWebSocket(t *testing.T) {
	t.Parallel()
	p, host := deployStreams(t)
	c, _, err := websocket.Dial(t.Context(), "ws://"+p.edgeAddr(t)+"/ws", &websocket.DialOptions{Host: host})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	for i := range 5 {
		msg := fmt.Sprint("message ", i)
		if err := c.Write(t.Context(), websocket.MessageText, []byte(msg)); err != nil {
			t.Fatal(err)
		}
		_, got, err := c.Read(t.Context())
		if err != nil || string(got) != "you said "+msg {
			t.Fatalf("read %q, %v", got, err)
		}
	}
}

func TestRequestFacts(t *testing.T) {
	t.Parallel()
	p, host := deployStreams(t)
	req := p.request(t, http.MethodGet, host, "/facts?x=%2F", nil)
	req.Header.Set("CF-Connecting-IP", "6.6.6.6")
	req.Header.Set("CF-Ray", "forged")
	req.Header.Set("X-Forwarded-For", "6.6.6.6")
	a := do(t, req)
	var facts struct {
		CF      map[string]any    `json:"cf"`
		Headers map[string]string `json:"headers"`
		URL     string            `json:"url"`
	}
	if err := json.Unmarshal([]byte(a.Body), &facts); err != nil {
		t.Fatalf("%d %s: %v", a.Status, a.Body, err)
	}
	if facts.Headers["cf-connecting-ip"] != "127.0.0.1" || strings.Contains(facts.Headers["x-forwarded-for"], "6.6.6.6") {
		t.Errorf("an address the client made up is believed: %v", facts.Headers)
	}
	if ray := facts.Headers["cf-ray"]; ray == "" || ray == "forged" || ray != a.Header.Get("CF-Ray") {
		t.Errorf("the worker sees ray %q, the client %q", ray, a.Header.Get("CF-Ray"))
	}
	if facts.CF["httpProtocol"] != "HTTP/1.1" || facts.CF["country"] != nil {
		t.Errorf("request.cf = %v", facts.CF)
	}
	if !strings.HasSuffix(facts.URL, "/facts?x=%2F") || !strings.Contains(facts.URL, host) {
		t.Errorf("the worker sees URL %s", facts.URL)
	}
	for name := range facts.Headers {
		if strings.HasPrefix(name, "selvage-") {
			t.Errorf("the platform's header %s reaches the worker", name)
		}
	}
}

func TestLogsByRay(t *testing.T) {
	t.Parallel()
	p, host := deployStreams(t)
	logged := p.get(t, host, "/log")
	thrown := p.get(t, host, "/throw")
	if thrown.Status != 500 {
		t.Errorf("a handler that throws answers %d", thrown.Status)
	}
	for _, c := range []struct{ ray, want string }{
		{logged.Header.Get("CF-Ray"), "a line { n: 1 }"},
		{thrown.Header.Get("CF-Ray"), "thrown in the handler"},
	} {
		eventually(t, func() error {
			out, stderr, code := p.cli(t, "logs", c.ray, "--json")
			if code != 0 || !strings.Contains(out, c.want) || !strings.Contains(out, `"streams"`) {
				return fmt.Errorf("selvage logs %s = %d, wanted %q in:\n%s%s", c.ray, code, c.want, out, stderr)
			}
			return nil
		})
	}
	lost := do(t, func() *http.Request {
		req := p.request(t, http.MethodGet, p.host("nobody"), "/", nil)
		req.Header.Set("Accept", "application/json")
		return req
	}())
	if !json.Valid([]byte(lost.Body)) || !strings.Contains(lost.Body, lost.Header.Get("CF-Ray")) {
		t.Errorf("the error page as JSON: %d %q, ray %q", lost.Status, lost.Body, lost.Header.Get("CF-Ray"))
	}
}

// eventually tries for a while: logs reach the disk a moment after the answer.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatal(err)
}

func TestEgressIsRefusedToPrivateAddresses(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := p.client(t)
	script := `export default { async fetch(req) {
		const to = new URL(req.url).searchParams.get("to");
		try { const r = await fetch(to); return new Response(r.status + " " + await r.text()) } catch (e) { return new Response("threw " + e.message) }
	} }`
	if err := create(t.Context(), c, "out", script); err != nil {
		t.Fatal(err)
	}
	if err := create(t.Context(), c, "inner", hello("from inside")); err != nil {
		t.Fatal(err)
	}
	api := strings.TrimPrefix(p.APIURL, "http://")
	for _, to := range []string{"http://" + api + "/healthz", "http://localhost:" + api[strings.LastIndex(api, ":")+1:] + "/healthz", "http://169.254.169.254/", "http://[::1]/", "http://0x7f.1/"} {
		// A name that a resolver may not know is 530 rather than 403.
		a := p.get(t, p.host("out"), "/?to="+to)
		if !strings.HasPrefix(a.Body, "403 selvage:") && !strings.HasPrefix(a.Body, "530 selvage:") {
			t.Errorf("a worker fetched %s: %q", to, a.Body)
		}
	}
	if a := p.get(t, p.host("out"), "/?to=http://"+p.host("inner")+"/"); a.Body != "200 from inside" {
		t.Errorf("a fetch to an own hostname: %q", a.Body)
	}
	// The name that the worker has at the original, with the subdomain that the account has here.
	_, subdomain, _ := strings.Cut(strings.TrimSuffix(p.host("inner"), ".workers."+p.Domain), ".")
	if a := p.get(t, p.host("out"), "/?to=https://inner."+subdomain+".workers.dev/"); a.Body != "200 from inside" {
		t.Errorf("a fetch to a name below workers.dev: %q", a.Body)
	}
	if a := p.get(t, p.host("out"), "/?to=https://nobody."+subdomain+".workers.dev/"); !strings.HasPrefix(a.Body, "404 ") {
		t.Errorf("a fetch to a worker that is not there left the platform: %q", a.Body)
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	p, host := deployStreams(t)
	for _, c := range []struct{ name, raw, want string }{
		{"two lengths", "POST / HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400"},
		{"length and chunked", "POST / HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
		{"no host", "GET / HTTP/1.1\r\n\r\n", "400"},
		{"space before colon", "GET / HTTP/1.1\r\nHost : x\r\n\r\n", "400"},
		{"long head", "GET / HTTP/1.1\r\nHost: " + host + "\r\nX: " + strings.Repeat("a", 200<<10) + "\r\n\r\n", "431"},
		{"declared too large", "POST /sum HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 99999999999\r\n\r\n", "413"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := p.dialEdge(t)
			go io.Copy(conn, strings.NewReader(c.raw))
			line, err := bufio.NewReader(conn).ReadBytes('\n')
			if err != nil || !bytes.HasPrefix(line, []byte("HTTP/1.1 "+c.want)) {
				t.Errorf("answered %q, %v; want %s", line, err, c.want)
			}
		})
	}
}

func TestEgressRuleOpensOneAddress(t *testing.T) {
	t.Parallel()
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "inside") }))
	defer inside.Close()
	p := start(t)
	c := p.client(t)
	script := `export default { async fetch(req) { const r = await fetch(new URL(req.url).searchParams.get("to")); return new Response(r.status + " " + await r.text()) } }`
	if err := create(t.Context(), c, "out", script); err != nil {
		t.Fatal(err)
	}
	ask := func() string { return p.get(t, p.host("out"), "/?to="+inside.URL).Body }
	if got := ask(); !strings.HasPrefix(got, "403 selvage:") {
		t.Errorf("before the rule: %q", got)
	}
	rule := strings.TrimPrefix(inside.URL, "http://")
	if out, stderr, code := p.cli(t, "egress", "out", "--allow", rule); code != 0 || !strings.Contains(out, rule[strings.LastIndex(rule, ":"):]) {
		t.Fatalf("selvage egress: %d %s%s", code, out, stderr)
	}
	eventually(t, func() error {
		if got := ask(); got != "200 inside" {
			return fmt.Errorf("with the rule: %q", got)
		}
		return nil
	})
	if _, stderr, code := p.cli(t, "egress", "out", "--allow", "not-a-network"); code != 2 || !strings.Contains(stderr, "not-a-network") {
		t.Errorf("a rule that is none: %d %s", code, stderr)
	}
	if out, stderr, code := p.cli(t, "egress", "out", "--clear"); code != 0 {
		t.Errorf("selvage egress --clear: %d %s%s", code, out, stderr)
	}
	eventually(t, func() error {
		if got := ask(); !strings.HasPrefix(got, "403 selvage:") {
			return fmt.Errorf("after --clear: %q", got)
		}
		return nil
	})
}

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// classSource uses the package as its documentation does.
const classSource = `import { Container, ContainerProxy, getContainer, getRandom, switchPort } from "@cloudflare/containers";
export class Box extends Container {
  defaultPort = 8080;
  sleepAfter = "2s";
  envVars = { FROM_CLASS: "yes" };
  events = [];
  note(e) { this.ctx.storage.kv.put("events", [...(this.ctx.storage.kv.get("events") ?? []), e]); }
  onStart() { this.note("start"); }
  onStop(how) { this.note("stop " + how.exitCode + " " + how.reason); }
  onError(error) { this.note("error " + error); throw error; }
  eventsSoFar() { return this.ctx.storage.kv.get("events") ?? []; }
  async begin(options) { await this.startAndWaitForPorts(options); return (await this.getState()).status; }
  async state_() { return (await this.getState()).status; }
  async signal_(s) { await this.stop(s); }
  async ask(path) { return (await this.containerFetch("http://box" + path)).text(); }
  async run(...cmd) { const p = await this.ctx.container.exec(cmd); const o = await p.output(); return new TextDecoder().decode(o.stdout); }
}
export { ContainerProxy };
export class Out extends Container { defaultPort = 8080; enableInternet = false; interceptHttps = true; }
Out.outboundByHost = { "names.intercepted": (request) => new Response("the worker answers " + request.url) };
export class Sleeper extends Container { defaultPort = 8080; entrypoint = ["/guest", "exit", "5"];
  async begin() { try { await this.startAndWaitForPorts({ cancellationOptions: { portReadyTimeoutMS: 3000 } }); return "started"; } catch (e) { return String(e); } } }
export default { async fetch(request, env) {
  const url = new URL(request.url), box = getContainer(env.BOX, url.searchParams.get("n") ?? "one");
  switch (url.pathname) {
    case "/do/begin": return new Response(await box.begin());
    case "/do/state": return new Response(await box.state_());
    case "/do/events": return Response.json(await box.eventsSoFar());
    case "/do/ask": return new Response(await box.ask("/asked"));
    case "/do/stop": await box.signal_(url.searchParams.get("signal")); return new Response("signalled");
    case "/do/destroy": await box.destroy(); return new Response("destroyed");
    case "/do/run": return new Response(await box.run("/guest", "show", "ran"));
    case "/do/random": return (await getRandom(env.BOX, 2)).fetch("http://x/random");
    case "/do/port": return box.fetch(switchPort(new Request("http://x/port"), 8080));
    case "/do/bad": return new Response(await getContainer(env.SLEEPER).begin());
  }
  if (url.pathname === "/fetch" && url.searchParams.has("out")) return getContainer(env.OUT).fetch(request);
  return box.fetch(request);
} };`

// TestContainerClass runs the package @cloudflare/containers as it is on npm.
func TestContainerClass(t *testing.T) {
	needsRunc(t)
	outside := outsideServer(t)
	p := start(t, "--egress-allow", strings.Replace(outside, ":", "/32:", 1))
	image := p.push(t, "guest", guestImage(t, "serve"))
	dir := project(t, map[string]string{"index.js": classSource, "wrangler.jsonc": fmt.Sprintf(`{"name": "box", "main": "index.js", "compatibility_date": "2026-09-01",
		"durable_objects": {"bindings": [{"name": "BOX", "class_name": "Box"}, {"name": "SLEEPER", "class_name": "Sleeper"}, {"name": "OUT", "class_name": "Out"}]},
		"migrations": [{"tag": "v1", "new_sqlite_classes": ["Box", "Sleeper", "Out"]}],
		"containers": [{"class_name": "Box", "images": {"main": {"image": %q}}}, {"class_name": "Sleeper", "images": {"main": {"image": %q}}}, {"class_name": "Out", "images": {"main": {"image": %q}}}]}`, image, image, image)})
	if err := os.Symlink(filepath.Join(repo(t), "tools", "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	if out, errs, code := p.ours(t, dir, "", "deploy"); code != 0 {
		t.Fatalf("deploy: %s%s", out, errs)
	}
	host := p.host("box")
	p.want(t, host, "/first", "guest GET /first")
	p.want(t, host, "/do/begin", "healthy")
	p.want(t, host, "/do/ask", "guest GET /asked")
	p.want(t, host, "/do/port", "guest GET /port")
	if a := p.get(t, host, "/env"); !strings.Contains(a.Body, "FROM_CLASS=yes") || !strings.Contains(a.Body, "FROM=image") {
		t.Errorf("environment: %q", a.Body)
	}
	if a := p.get(t, host, "/do/run"); !strings.Contains(a.Body, "args ran") {
		t.Errorf("exec: %d %q", a.Status, a.Body)
	}
	p.want(t, host, "/do/random", "guest GET /random")
	p.echo(t, host)
	for url, want := range map[string]string{
		"out=&url=http://names.intercepted/a": "200 the worker answers http://names.intercepted/a",
		// The package replaces the first "https:" of a URL, wherever that is.
		"out=&url=https%3A//names.intercepted/b": "200 the worker answers https://names.intercepted/b",
		"out=&url=https%3A//other.example/":      "failed: ",
		"out=&url=http://other.example/":         "failed: ",
		"out=&url=http://" + outside:             "failed: ",
		"url=http://" + outside:                  "200 outside",
		"url=http://169.254.169.254/":            "failed: ",
	} {
		if a := p.get(t, host, "/fetch?"+url); !strings.HasPrefix(a.Body, want) {
			t.Errorf("fetch %s: %q, want %q", url, a.Body, want)
		}
	}

	// It stops by itself when nobody asks, with a signal of which it dies.
	p.eventually(t, host, "/do/state?n=one", func(body string) bool { return strings.HasPrefix(body, "stopped") })
	p.eventually(t, host, "/do/events?n=one", func(body string) bool { return strings.Contains(body, "stop ") })
	events := p.events(t, host, "one")
	if len(events) < 2 || events[0] != "start" || !strings.HasPrefix(events[len(events)-1], "stop ") {
		t.Errorf("events: %q", events)
	}
	p.want(t, host, "/again", "guest GET /again")
	p.want(t, host, "/do/destroy", "destroyed")
	p.eventually(t, host, "/do/events", func(body string) bool { return strings.Count(body, "stop ") == 2 })

	// A server that ends by itself.
	p.want(t, host, "/x?n=two", "guest GET /x")
	p.get(t, host, "/exit?n=two")
	p.eventually(t, host, "/do/events?n=two", func(body string) bool { return strings.Contains(body, "exit") || strings.Contains(body, "error") })
	if a := p.get(t, host, "/do/bad"); !strings.Contains(a.Body, "5") || strings.Contains(a.Body, "started") {
		t.Errorf("a container that ends at once: %q", a.Body)
	}
}

// outsideServer answers on an address of this machine that is not loopback, and
// returns it with the port.
func outsideServer(t *testing.T) string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		ip, ok := a.(*net.IPNet)
		if !ok || ip.IP.To4() == nil || ip.IP.IsLoopback() {
			continue
		}
		ln, err := net.Listen("tcp4", net.JoinHostPort(ip.IP.String(), "0"))
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "outside") })}
		go srv.Serve(ln)
		t.Cleanup(func() { srv.Close() })
		return ln.Addr().String()
	}
	t.Fatal("this machine has no address but loopback")
	return ""
}

func (p *platform) events(t *testing.T, host, name string) []string {
	t.Helper()
	var out []string
	a := p.get(t, host, "/do/events?n="+name)
	if err := json.Unmarshal([]byte(a.Body), &out); err != nil {
		t.Fatalf("%d %q", a.Status, a.Body)
	}
	return out
}

// eventually asks until the answer is right.
func (p *platform) eventually(t *testing.T, host, path string, ok func(string) bool) {
	t.Helper()
	// The package looks after its container in an alarm, which sleeps for up to three
	// minutes and which the runtime tries again, ever later, when it failed.
	end := time.Now().Add(200 * time.Second)
	for {
		a := p.get(t, host, path)
		if a.Status == http.StatusOK && ok(a.Body) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("GET %s: %d %q\n%s", path, a.Status, a.Body, tail(p.stderr.String(), 3000))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// echo sends through a WebSocket to the container's server and back.
func (p *platform) echo(t *testing.T, host string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws://"+p.edgeAddr(t)+"/socket", &websocket.DialOptions{Host: host})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	if err := ws.Write(ctx, websocket.MessageText, []byte("through")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := ws.Read(ctx); err != nil || string(got) != "echo through" {
		t.Errorf("%q, %v", got, err)
	}
}

package e2e

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// app is a project that may import the packages that are installed under tools/.
func app(t *testing.T, name, source, config string, more map[string]string) string {
	t.Helper()
	files := map[string]string{
		"wrangler.jsonc": `{"name": "` + name + `", "main": "index.ts", "compatibility_date": "2026-09-01"` + config + `}`,
		"index.ts":       source,
	}
	maps.Copy(files, more)
	dir := project(t, files)
	if err := os.Symlink(filepath.Join(repo(t), "tools", "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// step is one request to an app and what its answer must have.
type step struct {
	name   string
	method string // GET
	path   string
	header string // "Name: value" lines
	body   string
	status int
	want   string // the body, with "…" for anything
	fields string // "Name: value" lines that the answer must have; a value of "-" means none
}

func (p *platform) walk(t *testing.T, host string, steps []step) {
	t.Helper()
	for _, s := range steps {
		if s.method == "" {
			s.method = http.MethodGet
		}
		req := p.request(t, s.method, host, s.path, strings.NewReader(s.body))
		for line := range strings.Lines(s.header) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			req.Header.Set(name, value)
		}
		a := do(t, req)
		if a.Status != s.status || !like(a.Body, s.want) {
			t.Errorf("%s: %d %.300q, want %d %q", s.name, a.Status, a.Body, s.status, s.want)
		}
		for line := range strings.Lines(s.fields) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			got := a.Header.Get(name)
			if value == "-" && got != "" || value != "-" && !like(got, value) {
				t.Errorf("%s: %s is %q, want %q", s.name, name, got, value)
			}
		}
	}
}

const honoApp = `
import { Hono } from "hono";
import { basicAuth } from "hono/basic-auth";
import { bearerAuth } from "hono/bearer-auth";
import { bodyLimit } from "hono/body-limit";
import { cache } from "hono/cache";
import { compress } from "hono/compress";
import { getSignedCookie, setSignedCookie } from "hono/cookie";
import { cors } from "hono/cors";
import { csrf } from "hono/csrf";
import { etag } from "hono/etag";
import { HTTPException } from "hono/http-exception";
import { jwt, sign } from "hono/jwt";
import { logger } from "hono/logger";
import { methodOverride } from "hono/method-override";
import { prettyJSON } from "hono/pretty-json";
import { requestId } from "hono/request-id";
import { secureHeaders } from "hono/secure-headers";
import { streamSSE, streamText } from "hono/streaming";
import { timeout } from "hono/timeout";
import { timing, setMetric } from "hono/timing";
import { trimTrailingSlash } from "hono/trailing-slash";
import { validator } from "hono/validator";

type Env = { Bindings: { SECRET: string; RL: { limit(o: { key: string }): Promise<{ success: boolean }> }; ASSETS: { fetch: typeof fetch } }; Variables: { user: string } };
const app = new Hono<Env>({ strict: true });
app.use(logger((line) => console.log("hono", line)), requestId(), secureHeaders(), trimTrailingSlash());
app.use("/api/*", cors({ origin: "https://app.example", allowMethods: ["GET", "POST"], maxAge: 600 }));
app.onError((err, c) => err instanceof HTTPException ? err.getResponse() : c.json({ error: err.message }, 500));
app.notFound((c) => c.json({ missing: c.req.path }, 404));

app.get("/", (c) => c.text("hello"));
app.get("/throws", () => { throw new Error("kaputt"); });
app.get("/teapot", () => { throw new HTTPException(418, { message: "short and stout" }); });
app.get("/api/items/:id{[0-9]+}", etag(), prettyJSON(), timing(), (c) => { setMetric(c, "db", 1.5); return c.json({ id: Number(c.req.param("id")), q: c.req.queries("q") ?? [] }); });
app.post("/api/items", bodyLimit({ maxSize: 100, onError: (c) => c.text("too big", 413) }), validator("json", (v: { name?: string }, c) => typeof v.name === "string" ? v : c.text("no name", 422)), (c) => c.json(c.req.valid("json"), 201));
app.use("/basic/*", basicAuth({ username: "u", password: "p" }));
app.get("/basic/x", (c) => c.text("in"));
app.use("/token/*", (c, next) => bearerAuth({ token: c.env.SECRET })(c, next));
app.get("/token/x", (c) => c.text("in"));
app.get("/jwt/make", async (c) => c.text(await sign({ sub: "ann", exp: Math.floor(Date.now() / 1000) + 60 }, c.env.SECRET, "HS256")));
app.use("/jwt/x", (c, next) => jwt({ secret: c.env.SECRET, alg: "HS256" })(c, next));
app.get("/jwt/x", (c) => c.json(c.get("jwtPayload").sub));
app.post("/form", csrf(), async (c) => c.text(String((await c.req.parseBody()).a)));
app.use("/over", methodOverride({ app }));
app.delete("/over", (c) => c.text("deleted"));
app.get("/cookie/set", async (c) => { await setSignedCookie(c, "s", "v1", c.env.SECRET, { httpOnly: true, secure: true, sameSite: "Lax" }); return c.text("set"); });
app.get("/cookie/get", async (c) => c.text(String(await getSignedCookie(c, c.env.SECRET, "s"))));
let runs = 0;
app.get("/cached", cache({ cacheName: "pages", cacheControl: "max-age=60", wait: true }), (c) => c.text("run " + ++runs));
app.get("/slow", timeout(50), async (c) => { await new Promise((r) => setTimeout(r, 2000)); return c.text("late"); });
app.get("/stream", (c) => streamText(c, async (s) => { for (let i = 0; i < 3; i++) { await s.writeln(String(i)); await s.sleep(1); } }));
app.get("/sse", (c) => streamSSE(c, async (s) => { await s.writeSSE({ data: "one", event: "e", id: "1" }); }));
app.get("/big", compress(), (c) => c.text("x".repeat(5000)));
app.get("/limited", async (c) => (await c.env.RL.limit({ key: "all" })).success ? c.text("ok") : c.text("slow down", 429));
app.get("/wait", (c) => { c.executionCtx.waitUntil(Promise.resolve()); return c.text("ok"); });
const sub = new Hono<Env>();
sub.use(async (c, next) => { c.set("user", "ann"); await next(); c.header("x-after", "yes"); });
sub.get("/me", (c) => c.text(c.get("user")));
app.route("/sub", sub);
app.get("/logo.txt", async (c) => { const r = await c.env.ASSETS.fetch(c.req.raw); return new Response(r.body, r); });
app.all("/any", (c) => c.text(c.req.method));
export default app;
`

func TestHonoApp(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.must(t, app(t, "h", honoApp, `, "vars": {"SECRET": "s3cret-s3cret-s3cret-s3cret-s3cret"},
		"assets": {"directory": "public", "binding": "ASSETS", "run_worker_first": true},
		"ratelimits": [{"name": "RL", "namespace_id": "5", "simple": {"limit": 1, "period": 60}}]`,
		map[string]string{"public/logo.txt": "logo"}), "deploy")
	host := p.host("h")
	token := p.get(t, host, "/jwt/make").Body
	cookie, _, _ := strings.Cut(p.get(t, host, "/cookie/set").Header.Get("Set-Cookie"), ";")
	tag := p.get(t, host, "/api/items/7").Header.Get("ETag")
	quiet(60)
	p.walk(t, host, []step{
		{name: "text", path: "/", status: 200, want: "hello", fields: "X-Frame-Options: SAMEORIGIN\nX-Request-Id: …"},
		{name: "not found", path: "/nowhere", status: 404, want: `{"missing":"/nowhere"}`},
		{name: "error", path: "/throws", status: 500, want: `{"error":"kaputt"}`},
		{name: "HTTP exception", path: "/teapot", status: 418, want: "short and stout"},
		{name: "param", path: "/api/items/7?q=a&q=b%20c", status: 200, want: `{"id":7,"q":["a","b c"]}`, fields: "Server-Timing: …db;dur=1.5…"},
		{name: "param pattern", path: "/api/items/x", status: 404, want: "…"},
		{name: "pretty", path: "/api/items/7?pretty", status: 200, want: "{\n  \"id\": 7,\n…"},
		{name: "etag", path: "/api/items/7", header: "If-None-Match: " + tag, status: 304},
		{name: "preflight", method: "OPTIONS", path: "/api/items", header: "Origin: https://app.example\nAccess-Control-Request-Method: POST", status: 204, fields: "Access-Control-Allow-Origin: https://app.example\nAccess-Control-Max-Age: 600"},
		{name: "validator", method: "POST", path: "/api/items", header: "Content-Type: application/json", body: `{"name":"x"}`, status: 201, want: `{"name":"x"}`},
		{name: "validator refuses", method: "POST", path: "/api/items", header: "Content-Type: application/json", body: `{}`, status: 422, want: "no name"},
		{name: "body limit", method: "POST", path: "/api/items", header: "Content-Type: application/json", body: `"` + strings.Repeat("x", 200) + `"`, status: 413, want: "too big"},
		{name: "basic auth", path: "/basic/x", header: "Authorization: Basic dTpw", status: 200, want: "in"},
		{name: "basic auth refuses", path: "/basic/x", status: 401, want: "…", fields: "WWW-Authenticate: Basic…"},
		{name: "bearer auth", path: "/token/x", header: "Authorization: Bearer s3cret-s3cret-s3cret-s3cret-s3cret", status: 200, want: "in"},
		{name: "bearer auth refuses", path: "/token/x", header: "Authorization: Bearer wrong", status: 401, want: "…"},
		{name: "jwt", path: "/jwt/x", header: "Authorization: Bearer " + token, status: 200, want: `"ann"`},
		{name: "jwt refuses", path: "/jwt/x", header: "Authorization: Bearer " + token + "x", status: 401, want: "…"},
		{name: "csrf refuses", method: "POST", path: "/form", header: "Content-Type: application/x-www-form-urlencoded\nOrigin: https://evil.example", body: "a=1", status: 403, want: "…"},
		{name: "form", method: "POST", path: "/form", header: "Content-Type: application/x-www-form-urlencoded\nOrigin: http://" + host, body: "a=1%202", status: 200, want: "1 2"},
		{name: "method override", method: "POST", path: "/over", header: "Content-Type: application/x-www-form-urlencoded", body: "_method=DELETE", status: 200, want: "deleted"},
		{name: "signed cookie", path: "/cookie/get", header: "Cookie: " + cookie, status: 200, want: "v1"},
		{name: "forged cookie", path: "/cookie/get", header: "Cookie: " + strings.Replace(cookie, "v1", "v2", 1), status: 200, want: "false"},
		{name: "cache, first", path: "/cached", status: 200, want: "run 1"},
		{name: "cache, again", path: "/cached", status: 200, want: "run 1", fields: "CF-Cache-Status: HIT"},
		{name: "timeout", path: "/slow", status: 504, want: "…"},
		{name: "stream", path: "/stream", status: 200, want: "0\n1\n2\n"},
		{name: "events", path: "/sse", status: 200, want: "event: e\ndata: one\nid: 1\n\n", fields: "Content-Type: text/event-stream…"},
		{name: "compress", path: "/big", header: "Accept-Encoding: gzip", status: 200, want: "\x1f\x8b…", fields: "Content-Encoding: gzip"},
		{name: "rate limit", path: "/limited", status: 200, want: "ok"},
		{name: "rate limit refuses", path: "/limited", status: 429, want: "slow down"},
		{name: "waitUntil", path: "/wait", status: 200, want: "ok"},
		{name: "sub-app", path: "/sub/me", status: 200, want: "ann", fields: "X-After: yes"},
		{name: "asset", path: "/logo.txt", status: 200, want: "logo"},
		{name: "trailing slash", path: "/wait/", status: 301, want: "…", fields: "Location: …/wait"},
		{name: "all", method: "PATCH", path: "/any", status: 200, want: "PATCH"},
	})
	if out, _, _ := p.cli(t, "logs", "--worker", "h"); !strings.Contains(out, "hono") {
		t.Errorf("the lines of hono's logger are not in the log:\n%s", tail(out, 2000))
	}
}

const ittyApp = `
import { AutoRouter, cors, error, html, IttyRouter, json, Router, status, StatusError, text, withContent, withCookies, withParams } from "itty-router";

const { preflight, corsify } = cors({ origin: "https://app.example", credentials: true, maxAge: 60 });
const withUser = (request) => { const t = request.headers.get("authorization"); if (t !== "Bearer t") return error(401, "who are you?"); request.user = "ann"; };
const withTimer = (request) => { request.started = Date.now(); };
const stamp = (response: Response) => { response.headers.set("x-stamp", "yes"); };

const admin = AutoRouter({ base: "/admin" });
admin.all("*", withUser).get("/me", ({ user }) => ({ user }));

const router = AutoRouter({ before: [preflight, withTimer, withCookies], finally: [corsify, stamp], catch: (e) => error(e.status ?? 500, { what: e.message }), missing: () => error(404, "nothing here") });
router
  .get("/", () => text("hello"))
  .get("/items/:id", ({ id, query }) => ({ id, query }))
  .get("/files/:path+", ({ path }) => text(path))
  .get("/opt/:a?", ({ params }) => json(params))
  .post("/echo", withContent, ({ content }) => ({ content }))
  .get("/page", () => html("<p>hi</p>"))
  .get("/none", () => status(204))
  .get("/boom", () => { throw new Error("boom"); })
  .get("/teapot", () => { throw new StatusError(418, "short"); })
  .get("/cookie", ({ cookies }) => json(cookies))
  .get("/env", (_req, env, ctx) => { ctx.waitUntil(Promise.resolve()); return text(env.NAME); })
  .all("/admin/*", admin.fetch);
const plain = IttyRouter();
plain.get("/plain", () => new Response("plain"));
const classic = Router({ before: [withParams], finally: [json] });
classic.get("/classic/:n", ({ n }) => [Number(n)]);
router.all("/plain", plain.fetch).all("/classic/*", classic.fetch);
export default { fetch: router.fetch };
`

func TestIttyRouterApp(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.must(t, app(t, "i", ittyApp, `, "vars": {"NAME": "itty"}`, nil), "deploy")
	p.walk(t, p.host("i"), []step{
		{name: "text", path: "/", status: 200, want: "hello", fields: "X-Stamp: yes"},
		{name: "params", path: "/items/a%20b?x=1&x=2", status: 200, want: `{"id":"a…b","query":{"x":["1","2"]}}`, fields: "Content-Type: application/json…"},
		{name: "greedy params", path: "/files/a/b/c.txt", status: 200, want: "a/b/c.txt"},
		{name: "optional param", path: "/opt", status: 200, want: `{…}`},
		{name: "content", method: "POST", path: "/echo", header: "Content-Type: application/json", body: `{"a":[1]}`, status: 200, want: `{"content":{"a":[1]}}`},
		{name: "html", path: "/page", status: 200, want: "<p>hi</p>", fields: "Content-Type: text/html"},
		{name: "status", path: "/none", status: 204},
		{name: "error", path: "/boom", status: 500, want: `…boom…`},
		{name: "status error", path: "/teapot", status: 418, want: `…short…`},
		{name: "missing", path: "/nowhere", status: 404, want: `…nothing here…`},
		{name: "cookies", path: "/cookie", header: "Cookie: a=1; b=2", status: 200, want: `{"a":"1","b":"2"}`},
		{name: "env and ctx", path: "/env", status: 200, want: "itty"},
		{name: "preflight", method: "OPTIONS", path: "/items/1", header: "Origin: https://app.example\nAccess-Control-Request-Method: GET", status: 204, fields: "Access-Control-Allow-Origin: https://app.example\nAccess-Control-Max-Age: 60"},
		{name: "cors", path: "/", header: "Origin: https://app.example", status: 200, want: "hello", fields: "Access-Control-Allow-Origin: https://app.example\nAccess-Control-Allow-Credentials: true"},
		{name: "nested, refused", path: "/admin/me", status: 401, want: `…who are you?…`},
		{name: "nested", path: "/admin/me", header: "Authorization: Bearer t", status: 200, want: `{"user":"ann"}`},
		{name: "plain router", path: "/plain", status: 200, want: "plain"},
		{name: "classic router", path: "/classic/5", status: 200, want: "[5]"},
	})
}

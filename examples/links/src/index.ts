import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { HTTPException } from "hono/http-exception";
import { bearerAuth } from "hono/bearer-auth";
import { secureHeaders } from "hono/secure-headers";
import { timingSafeEqual } from "hono/utils/buffer";
import type { Env } from "./env";
import { InvalidLink, parseLink, Shelf } from "./links";
import { fillPage } from "./page";

const app = new Hono<{ Bindings: Env }>();

let shelf: Shelf | undefined;
const links = (env: Env) => (shelf ??= new Shelf(env.LINKS));

app.use(secureHeaders({ contentSecurityPolicy: { defaultSrc: ["'self'"], baseUri: ["'none'"], frameAncestors: ["'none'"] } }));

app.get("/", async (c) => {
  const query = c.req.query("q")?.slice(0, 200) ?? "";
  const page = await c.env.ASSETS.fetch(new URL("/", c.req.url));
  if (!page.ok) throw new Error(`The page's template answers ${page.status}.`);
  const filled = await fillPage(page, {
    title: c.env.TITLE,
    links: links(c.env).search(query),
    query,
    version: c.env.VERSION.id.slice(0, 8),
  });
  // The template's validators are not the page's.
  return new Response(filled.body, {
    headers: { "Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-cache" },
  });
});

app.get("/go/:id", async (c) => {
  const link = links(c.env).get(c.req.param("id"));
  if (!link) return asset(c.env, new URL("/no-such-link", c.req.url)); // the 404 page
  console.log("followed", { id: link.id });
  return c.redirect(link.url, 302);
});

app.get("/api/links", (c) => c.json({ links: links(c.env).search(c.req.query("q") ?? "") }));

app.get("/api/links/:id", (c) => {
  const link = links(c.env).get(c.req.param("id"));
  return link ? c.json(link) : notFound();
});

app.get("/api/version", (c) => {
  const { id, tag, timestamp } = c.env.VERSION;
  return c.json({ id, tag, timestamp });
});

// Changes need the secret. POST and DELETE say so when it is not set, rather
// than to let everybody in.
const admin = bearerAuth<{ Bindings: Env }>({
  verifyToken: (token, c) => {
    const secret = c.env.ADMIN_TOKEN;
    if (!secret) throw new HTTPException(403, { message: "Links are read-only here: the secret ADMIN_TOKEN is not set." });
    return timingSafeEqual(token, secret);
  },
});

app.post("/api/links", admin, bodyLimit({ maxSize: 16 * 1024 }), async (c) => {
  let body: unknown;
  try {
    body = await c.req.json();
  } catch {
    throw new HTTPException(400, { message: "The body is not JSON." });
  }
  const link = parseLink(body);
  links(c.env).add(link);
  return c.json(link, 201, { Location: `/api/links/${link.id}` });
});

app.delete("/api/links/:id", admin, (c) => (links(c.env).remove(c.req.param("id")) ? c.body(null, 204) : notFound()));

app.all("/api/*", () => notFound());
app.all("*", (c) => asset(c.env, c.req.raw));

/** A copy, since what fetch returns has headers that middleware cannot change. */
async function asset(env: Env, request: URL | Request): Promise<Response> {
  const res = await env.ASSETS.fetch(request);
  return new Response(res.body, res);
}

function notFound(): Response {
  return Response.json({ error: { code: "not_found", message: "There is nothing here." } }, { status: 404 });
}

app.onError((err, c) => {
  if (err instanceof InvalidLink) {
    return c.json({ error: { code: "invalid_link", message: err.message, fields: err.problems } }, 422);
  }
  if (err instanceof HTTPException) {
    const challenge = err.res?.headers.get("WWW-Authenticate");
    if (challenge) c.header("WWW-Authenticate", challenge);
    const code = { 400: "bad_request", 401: "unauthorized", 403: "forbidden", 413: "too_large" }[err.status as number] ?? "error";
    return c.json({ error: { code, message: err.message || "A valid token is needed: Authorization: Bearer …" } }, err.status);
  }
  console.error(err);
  return c.json({ error: { code: "internal", message: "The server failed; its log says why." } }, 500);
});

export default app;

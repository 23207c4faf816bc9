// Compares two texts without telling by its time how much of them is equal.
async function same(a, b) {
  const digest = (text) => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return crypto.subtle.timingSafeEqual(await digest(a), await digest(b));
}

const fail = (status, error, headers) => Response.json({ error }, { status, headers });

function isPaper(p) {
  const filled = (text, most) => typeof text === "string" && text.trim() !== "" && text.length <= most;
  return p !== null && typeof p === "object" && filled(p.title, 300) && filled(p.abstract, 10_000) && filled(p.author, 200);
}

async function add(request, db) {
  const paper = await request.json().catch(() => null);
  if (!isPaper(paper)) return fail(400, "want a title, an abstract and an author");
  const added = await db
    .prepare("INSERT INTO research (title, abstract, author) VALUES (?, ?, ?) RETURNING *")
    .bind(paper.title, paper.abstract, paper.author)
    .first();
  return Response.json(added, { status: 201 });
}

async function route(request, env) {
  const rest = /^\/api\/research\/(.*)$/.exec(new URL(request.url).pathname)?.[1];
  if (rest === undefined) return fail(404, "no such route");
  const given = /^Bearer (.+)$/.exec(request.headers.get("Authorization") ?? "")?.[1] ?? "";
  if (!env.API_TOKEN || !(await same(given, env.API_TOKEN))) {
    return fail(401, "a bearer token is needed", { "WWW-Authenticate": "Bearer" });
  }
  if (request.method === "POST" && rest === "") return add(request, env.DB);
  if (request.method !== "GET") return fail(405, "GET, or POST to /api/research/");
  if (rest === "latest") {
    const { results } = await env.DB.prepare("SELECT * FROM research ORDER BY published_at DESC, id DESC LIMIT 10").all();
    return Response.json(results);
  }
  const paper = /^\d{1,15}$/.test(rest) ? await env.DB.prepare("SELECT * FROM research WHERE id = ?").bind(Number(rest)).first() : null;
  return paper ? Response.json(paper) : fail(404, "no such paper");
}

export default {
  async fetch(request, env) {
    try {
      return await route(request, env);
    } catch (e) {
      console.error(e);
      return fail(500, "the database could not answer");
    }
  },
};

import { Database, maxIDs } from "./database.js";

const maxPapers = 50; // two statements each, in one batch
const fail = (status, error) => Response.json({ error }, { status });
const filled = (text, most) => typeof text === "string" && text.trim() !== "" && text.length <= most;
const isPaper = (p) => filled(p?.title, 300) && filled(p?.abstract, 10_000) && filled(p?.author, 200);
const between = (n, least, most) => Number.isInteger(n) && n >= least && n <= most;

async function search(request, db) {
  const { query, limit = 20, offset = 0 } = (await request.json().catch(() => null)) ?? {};
  if (!filled(query, 200)) return fail(400, "want a query of at most 200 characters");
  if (!between(limit, 1, 100) || !between(offset, 0, 100_000)) return fail(400, "limit is 1 to 100, offset 0 to 100000");
  return Response.json(await db.search(query.trim(), limit, offset));
}

async function byIDs(url, db) {
  const ids = (url.searchParams.get("ids") ?? "").split(",").filter((id) => id !== "");
  if (ids.length > maxIDs) return fail(400, `at most ${maxIDs} ids`);
  if (!ids.every((id) => /^\d{1,15}$/.test(id))) return fail(400, "an id is a number");
  return Response.json(await db.papers(ids.map(Number)));
}

async function add(request, db) {
  const papers = await request.json().catch(() => null);
  if (!Array.isArray(papers) || !between(papers.length, 1, maxPapers) || !papers.every(isPaper)) {
    return fail(400, `want 1 to ${maxPapers} papers with title, abstract and author`);
  }
  return Response.json({ ids: await db.add(papers) }, { status: 201 });
}

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const db = new Database(env);
    try {
      switch (`${request.method} ${url.pathname}`) {
        case "POST /search":
          return await search(request, db);
        case "GET /papers":
          return await byIDs(url, db);
        case "POST /papers":
          return await add(request, db);
      }
      return fail(404, "no such route");
    } catch (e) {
      console.error(e);
      return fail(500, "the database could not answer");
    }
  },
};

import { Search } from "./search.js";

const maxPapers = 50;
const fail = (status, error, more) => Response.json({ error, ...more }, { status });
const filled = (text, most) => typeof text === "string" && text.trim() !== "" && text.length <= most;

async function add(request, search) {
  const list = await request.json().catch(() => null);
  const ok = Array.isArray(list) && list.length > 0 && list.length <= maxPapers && list.every((p) => filled(p?.title, 300) && filled(p?.abstract, 10_000));
  if (!ok) return fail(400, `want 1 to ${maxPapers} papers with a title and an abstract`);
  const papers = list.map(({ title, abstract }) => ({ id: crypto.randomUUID(), title, abstract }));
  const ids = papers.map((p) => p.id);
  try {
    const { mutationId } = await search.add(papers);
    return Response.json({ ids, mutationId }, { status: 201 });
  } catch (e) {
    console.error(e);
    return fail(502, "the papers may be kept, but cannot be found yet", { ids });
  }
}

async function find(url, search) {
  const question = url.searchParams.get("q") ?? "";
  const limit = Number(url.searchParams.get("limit") ?? 10);
  if (!filled(question, 1000)) return fail(400, "want a question q of at most 1000 characters");
  if (!Number.isInteger(limit) || limit < 1 || limit > 50) return fail(400, "limit is 1 to 50");
  return Response.json(await search.find(question, limit));
}

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const search = new Search(env);
    switch (`${request.method} ${url.pathname}`) {
      case "POST /papers":
        return add(request, search);
      case "GET /search":
        return find(url, search);
    }
    return fail(404, "no such route");
  },
};

import { fail, filled, indexContent } from "../../lib/content.js";

const maxContent = 50;
const isContent = (c) => filled(c?.title, 300) && filled(c?.summary, 5000) && filled(c?.category, 40);

async function same(a, b) {
  const digest = (text) => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return crypto.subtle.timingSafeEqual(await digest(a), await digest(b));
}

export async function onRequestPost({ request, env }) {
  const given = /^Bearer (.+)$/.exec(request.headers.get("Authorization") ?? "")?.[1] ?? "";
  if (!env.ADMIN_TOKEN || !(await same(given, env.ADMIN_TOKEN))) return fail(401, "a bearer token is needed");
  const list = await request.json().catch(() => null);
  if (!Array.isArray(list) || list.length === 0 || list.length > maxContent || !list.every(isContent)) {
    return fail(400, `want 1 to ${maxContent} pieces with title, summary and category`);
  }
  const insert = env.DB.prepare("INSERT INTO content (id, title, summary, category) VALUES (?, ?, ?, ?) RETURNING id");
  const added = await env.DB.batch(list.map((c) => insert.bind(crypto.randomUUID(), c.title, c.summary, c.category)));
  return Response.json({ ids: added.map((a) => a.results[0].id), indexed: await indexContent(env) }, { status: 201 });
}

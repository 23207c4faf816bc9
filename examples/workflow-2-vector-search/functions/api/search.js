import { contentByID, embed, fail, filled, namespace } from "../../lib/content.js";

export async function onRequestPost({ request, env }) {
  const { query, category } = (await request.json().catch(() => null)) ?? {};
  if (!filled(query, 1000)) return fail(400, "want a query of at most 1000 characters");
  if (category !== undefined && !filled(category, 40)) return fail(400, "a category is a word");
  const [vector] = await embed(env, [query]);
  const { matches } = await env.VECTORIZE.query(vector, { topK: 20, namespace, filter: category === undefined ? undefined : { category } });
  const content = await contentByID(env, matches.map((m) => m.id));
  return Response.json({ results: matches.filter((m) => content.has(m.id)).map((m) => ({ ...content.get(m.id), similarity: m.score })) });
}

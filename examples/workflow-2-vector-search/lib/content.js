export const namespace = "content";

export const filled = (text, most) => typeof text === "string" && text.trim() !== "" && text.length <= most;
export const fail = (status, error) => Response.json({ error }, { status });

// One vector for each text, by one call of the model.
export async function embed(env, texts) {
  const { data } = await env.AI.run(env.MODEL, { text: texts });
  return data;
}

// Indexes up to 100 pieces of content that are not yet, and returns how many these were.
export async function indexContent(env) {
  const { results: list } = await env.DB.prepare("SELECT * FROM content WHERE NOT vector_indexed ORDER BY created_at LIMIT 100").all();
  if (list.length === 0) return 0;
  const values = await embed(env, list.map((c) => `${c.title} ${c.summary}`));
  await env.VECTORIZE.upsert(
    list.map((c, i) => ({ id: c.id, namespace, values: values[i], metadata: { title: c.title, category: c.category, created: c.created_at } })),
  );
  const done = env.DB.prepare("UPDATE content SET vector_indexed = 1 WHERE id = ?");
  await env.DB.batch(list.map((c) => done.bind(c.id)));
  return list.length;
}

// The content of these ids, by id.
export async function contentByID(env, ids) {
  if (ids.length === 0) return new Map();
  const places = ids.map(() => "?").join(", ");
  const { results } = await env.DB.prepare(`SELECT id, title, summary, category FROM content WHERE id IN (${places})`).bind(...ids).all();
  return new Map(results.map((c) => [c.id, c]));
}

const latest = "SELECT id, title, body, created_at FROM content WHERE published ORDER BY created_at DESC LIMIT 20";

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (!pathname.startsWith("/api/content/")) return new Response("Not found", { status: 404 });
    if (request.method !== "GET") return new Response("Read only", { status: 405, headers: { Allow: "GET" } });
    const { results } = await env.DB.prepare(latest).all();
    return Response.json(results, { headers: { "Cache-Control": "public, max-age=10" } });
  },
};

const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escape = (text) => text.replace(/[&<>"']/g, (c) => escapes[c]);
const article = ({ title, body }) => `<article><h2>${escape(title)}</h2><p>${escape(body)}</p></article>`;

function render(body, status) {
  const page = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>News</title><link rel="stylesheet" href="/style.css">
<main><h1>News</h1>${body}<p><a href="/about">About us</a></p></main></html>`;
  return new Response(page, { status, headers: { "Content-Type": "text/html; charset=utf-8" } });
}

async function home(env) {
  try {
    const response = await fetch(`${env.API_URL}/api/content/`, { signal: AbortSignal.timeout(2000) });
    if (!response.ok) throw new Error(`the API answered ${response.status}`);
    return render((await response.json()).map(article).join(""), 200);
  } catch (e) {
    console.error(e);
    return render("<p>The news cannot be read at the moment.</p>", 503);
  }
}

export default {
  async fetch(request, env) {
    return new URL(request.url).pathname === "/" ? home(env) : env.ASSETS.fetch(request);
  },
};

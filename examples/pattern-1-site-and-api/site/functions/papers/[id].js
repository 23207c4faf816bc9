import { ask } from "../../lib/api.js";
import { html, page } from "../../lib/page.js";

export async function onRequestGet({ env, params }) {
  const paper = await ask(env, encodeURIComponent(params.id));
  if (!paper) return page("No such paper", html`<p><a href="/">All papers</a></p>`, 404);
  return page(paper.title, html`<p><small>${paper.author}, ${paper.published_at.slice(0, 10)}</small></p><p>${paper.abstract}</p>`);
}

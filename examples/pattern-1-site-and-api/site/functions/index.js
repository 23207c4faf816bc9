import { ask } from "../lib/api.js";
import { html, page } from "../lib/page.js";

export async function onRequestGet({ env }) {
  const papers = (await ask(env, "latest")) ?? [];
  const item = (p) => html`<li><a href="/papers/${p.id}">${p.title}</a> <small>${p.author}, ${p.published_at.slice(0, 10)}</small></li>`;
  return page("Latest papers", html`<ol>${papers.map(item)}</ol>`);
}

import { html } from "hono/html";
import type { Link } from "./links";

/** One entry of the list. `html` escapes what is put into it. */
const entry = (l: Link) => html`<li class="link" data-id="${l.id}">
  <a class="title" href="/go/${l.id}">${l.title}</a>
  <span class="host">${new URL(l.url).host}</span>
  ${l.note ? html`<p class="note">${l.note}</p>` : ""}
  <code class="short">/go/${l.id}</code>
</li>`;

/**
 * Puts the list and the rest into public/index.html as it streams by, so that
 * the page is complete without JavaScript in the browser.
 */
export async function fillPage(
  page: Response,
  data: { title: string; links: Link[]; query: string; version: string },
): Promise<Response> {
  const list = (await Promise.all(data.links.map(entry))).join("\n");
  const shown = data.links.length === 1 ? "1 link" : `${data.links.length} links`;
  return new HTMLRewriter()
    .on("[data-slot=title]", { element: (e) => void e.setInnerContent(data.title) })
    .on("[data-slot=count]", { element: (e) => void e.setInnerContent(shown) })
    .on("[data-slot=version]", { element: (e) => void e.setInnerContent(data.version) })
    .on("[data-slot=links]", { element: (e) => void e.setInnerContent(list, { html: true }) })
    .on("[data-slot=empty]", { element: (e) => void (data.links.length > 0 && e.setAttribute("hidden", "")) })
    .on("input[name=q]", { element: (e) => void e.setAttribute("value", data.query) })
    .transform(page);
}

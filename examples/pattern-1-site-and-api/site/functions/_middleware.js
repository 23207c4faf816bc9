import { html, page } from "../lib/page.js";

// A page without its data is still a page.
export async function onRequest({ next }) {
  try {
    return await next();
  } catch (e) {
    console.error(e);
    const sorry = page("Not now", html`<p>The papers cannot be read at the moment. Please try again.</p>`, 503);
    sorry.headers.set("Retry-After", "5");
    return sorry;
  }
}

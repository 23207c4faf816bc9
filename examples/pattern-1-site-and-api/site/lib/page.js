const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

class Markup {
  constructor(text) {
    this.text = text;
  }
}

function text(value) {
  if (value instanceof Markup) return value.text;
  if (Array.isArray(value)) return value.map(text).join("");
  return String(value ?? "").replace(/[&<>"']/g, (c) => escapes[c]);
}

// html`…` escapes what it is given, except what html`…` made.
export const html = (parts, ...values) => new Markup(String.raw({ raw: parts }, ...values.map(text)));

// page is a whole document as a response.
export function page(title, body, status = 200) {
  const document = html`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title><link rel="stylesheet" href="/style.css"></head>
<body><header><a href="/">Research</a></header><main><h1>${title}</h1>${body}</main></body>
</html>`;
  return new Response(document.text, { status, headers: { "Content-Type": "text/html; charset=utf-8" } });
}

import assert from "node:assert/strict";
import test from "node:test";
import { ask } from "../ask.mjs";

const { SITE, API } = process.env;

test("the API lists what is published, the latest first", async () => {
  const list = await ask(`${API}/api/content/`);
  assert.equal(list.headers["cache-control"], "public, max-age=10");
  assert.deepEqual(list.json().map((a) => a.title), ["The new <shelves>", "Opening hours in winter"]);
  assert.equal((await ask(`${API}/elsewhere`)).status, 404);
  assert.equal((await ask(`${API}/api/content/`, { method: "DELETE" })).status, 405);
});

test("the site renders it", async () => {
  const home = await ask(`${SITE}/`);
  assert.equal(home.status, 200);
  assert.match(home.text, /<h2>The new &lt;shelves&gt;<\/h2><p>Maps &amp; atlases/);
  assert.doesNotMatch(home.text, /draft/i);
});

test("all else are files", async () => {
  assert.match((await ask(`${SITE}/about`)).text, /A library of a small town/);
  assert.match((await ask(`${SITE}/style.css`)).headers["content-type"], /^text\/css/);
});

import assert from "node:assert/strict";
import test from "node:test";
import { ask } from "../ask.mjs";

const { SITE, API, API_TOKEN } = process.env;
const headers = { Authorization: `Bearer ${API_TOKEN}` };

test("the API wants its token", async () => {
  assert.equal((await ask(`${API}/api/research/latest`)).status, 401);
  assert.equal((await ask(`${API}/api/research/latest`, { headers: { Authorization: "Bearer wrong" } })).status, 401);
  assert.equal((await ask(`${API}/?next=/api/research/latest`, { headers })).status, 404);
});

test("a paper that is added is on the site's first page", async () => {
  const paper = { title: `Ants & <b>"us"</b> ${Date.now()}`, abstract: "Ants carried more when it rained.", author: "A. Okafor" };
  const added = await ask(`${API}/api/research/`, { method: "POST", headers, body: JSON.stringify(paper) });
  assert.equal(added.status, 201);
  const { id } = added.json();
  assert.equal((await ask(`${API}/api/research/latest`, { headers })).json()[0].title, paper.title);

  const home = await ask(`${SITE}/`);
  assert.equal(home.status, 200);
  assert.match(home.headers["content-type"], /^text\/html/);
  assert.match(home.text, /Ants &amp; &lt;b&gt;&quot;us&quot;&lt;\/b&gt; \d+/);
  assert.doesNotMatch(home.text, /<b>/);
  assert.match((await ask(`${SITE}/papers/${id}`)).text, /Ants carried more when it rained\./);
});

test("what is not there", async () => {
  assert.equal((await ask(`${SITE}/papers/999999`)).status, 404);
  assert.equal((await ask(`${SITE}/papers/..%2Flatest`)).status, 404);
  const bad = await ask(`${API}/api/research/`, { method: "POST", headers, body: "{" });
  assert.equal(bad.status, 400);
});

test("files of the site do not run code", async () => {
  assert.match((await ask(`${SITE}/style.css`)).headers["content-type"], /^text\/css/);
});

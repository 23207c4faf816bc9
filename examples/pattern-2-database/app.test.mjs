import assert from "node:assert/strict";
import test from "node:test";
import { ask } from "../ask.mjs";

const { URL: base } = process.env;
const post = (path, value) => ask(base + path, { method: "POST", body: JSON.stringify(value) });
const mark = `m${Date.now()}`; // tells this run's papers from older ones

const papers = [
  { title: `Bees and rain ${mark}`, abstract: "They stay at home.", author: "R. Ito" },
  { title: `Ants ${mark}`, abstract: `100% of them_carried more; bees and rain ${mark} did not matter.`, author: "R. Ito" },
  { title: `Wasps ${mark}`, abstract: "Nothing was found.", author: "C. Duarte" },
];

test("papers are added, found and read", async () => {
  const added = await post("/papers", papers);
  assert.equal(added.status, 201);
  const { ids } = added.json();
  assert.equal(ids.length, 3);

  const found = (await post("/search", { query: `BEES and rain ${mark}` })).json();
  assert.deepEqual(found.map((p) => [p.id, p.relevance]), [[ids[0], 10], [ids[1], 5]]);
  assert.equal((await post("/search", { query: mark, limit: 1, offset: 1 })).json().length, 1);

  const read = (await ask(`${base}/papers?ids=${ids.join()}`)).json();
  assert.deepEqual(read.map((p) => p.author).sort(), ["C. Duarte", "R. Ito", "R. Ito"]);
});

test("a query is text, not a pattern", async () => {
  assert.equal((await post("/search", { query: "100% of them_carried" })).json().length >= 1, true);
  assert.deepEqual((await post("/search", { query: `Ants_${mark}` })).json(), []);
  assert.deepEqual((await post("/search", { query: "'; DROP TABLE research; --" })).json(), []);
  assert.equal((await post("/search", { query: "x".repeat(120) })).status, 200);
});

test("all papers of a request are added, or none", async () => {
  const refused = await post("/papers", [{ ...papers[0], title: `half ${mark}` }, { title: "without the rest" }]);
  assert.equal(refused.status, 400);
  assert.deepEqual((await post("/search", { query: `half ${mark}` })).json(), []);
});

test("bad input", async () => {
  for (const [path, value] of [["/search", {}], ["/search", { query: "a", limit: 1000 }], ["/search", { query: "a", offset: -1 }], ["/papers", []]]) {
    assert.equal((await post(path, value)).status, 400, path);
  }
  assert.equal((await ask(`${base}/papers?ids=1,x`)).status, 400);
  assert.equal((await ask(`${base}/papers?ids=${Array(101).fill(1)}`)).status, 400);
  assert.deepEqual((await ask(`${base}/papers?ids=`)).json(), []);
  assert.equal((await ask(`${base}/nowhere`)).status, 404);
});

import assert from "node:assert/strict";
import test from "node:test";
import { ask, until } from "../ask.mjs";

const { SITE, ADMIN_TOKEN } = process.env;
const headers = { Authorization: `Bearer ${ADMIN_TOKEN}` };
const post = (path, value, more) => ask(SITE + path, { method: "POST", body: JSON.stringify(value), ...more });
const search = async (value) => (await post("/api/search", value)).json().results;

const content = [
  { title: "Bread from yesterday", summary: "Stale loaves make soup and pudding.", category: "kitchen" },
  { title: "A knife that cuts", summary: "Steel is ground on a wet stone.", category: "kitchen" },
  { title: "Pruning in winter", summary: "Apple trees are cut while they sleep.", category: "garden" },
];

test("content is found by meaning and category", async () => {
  const added = await post("/api/content", content, { headers });
  assert.equal(added.status, 201);
  assert.equal(added.json().indexed, 3);
  await until(async () => assert.equal((await search({ query: "to cut" })).length, 3));

  const all = await search({ query: "orchard" });
  assert.equal(all[0].title, "Pruning in winter");
  const kitchen = await search({ query: "orchard", category: "kitchen" });
  assert.deepEqual(kitchen.map((c) => c.category), ["kitchen", "kitchen"]);
  assert.equal((await search({ query: "sharpen a blade", category: "kitchen" }))[0].title, "A knife that cuts");
  assert.deepEqual(await search({ query: "orchard", category: "cellar" }), []);
});

test("only who has the token adds content", async () => {
  assert.equal((await post("/api/content", content)).status, 401);
  assert.equal((await post("/api/content", [{ title: "x" }], { headers })).status, 400);
});

test("bad input, and the page", async () => {
  for (const value of [{}, { query: "" }, { query: "a".repeat(1001) }, { query: "a", category: 3 }]) assert.equal((await post("/api/search", value)).status, 400);
  assert.match((await ask(`${SITE}/`)).text, /<form>/);
});

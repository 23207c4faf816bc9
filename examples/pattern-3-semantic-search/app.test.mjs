import assert from "node:assert/strict";
import test from "node:test";
import { ask, until } from "../ask.mjs";

const { URL: base } = process.env;
const add = (papers) => ask(`${base}/papers`, { method: "POST", body: JSON.stringify(papers) });
const find = async (q, limit = 3) => (await ask(`${base}/search?limit=${limit}&q=${encodeURIComponent(q)}`)).json();

const papers = [
  { title: "Puppies and their mothers", abstract: "Young dogs that stayed longer with the dam bit less." },
  { title: "Fuel in old carburettors", abstract: "Ethanol in petrol attacks the seals of engines built before 1980." },
  { title: "Glaciers in retreat", abstract: "Ice in the valley melted faster where soot had fallen on snow." },
];

test("papers are found by what they mean", async () => {
  const added = await add(papers);
  assert.equal(added.status, 201);
  const { ids } = added.json();
  await until(async () => {
    const found = await find("a canine and its offspring", 50);
    assert.ok(ids.every((id) => found.some((p) => p.id === id)));
  });
  for (const [question, paper] of [["a canine and its offspring", 0], ["gasoline motor of a car", 1], ["frozen water in a warmer climate", 2]]) {
    const found = await find(question);
    assert.equal(found[0].title, papers[paper].title, question);
    assert.equal(found[0].abstract, papers[paper].abstract); // the score is this paper's, not its neighbour's
    assert.ok(found[0].similarity > found[1].similarity && found[0].similarity <= 1);
  }
});

test("bad input", async () => {
  for (const path of ["/search", "/search?q=", "/search?q=a&limit=0", "/search?q=a&limit=1000", `/search?q=${"a".repeat(1001)}`]) {
    assert.equal((await ask(base + path)).status, 400, path);
  }
  for (const list of [null, [], [{ title: "only" }], Array(51).fill(papers[0])]) assert.equal((await add(list)).status, 400);
  assert.equal((await ask(`${base}/`)).status, 404);
});

// Reads {"tokenizers": {name: tokenizer.json}, "texts": [...]} and writes
// {name: [[ids of a text], ...]}, by the JavaScript port of the reference.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { Tokenizer } = await import(pathToFileURL(process.argv[2]).href);
const { tokenizers, texts } = JSON.parse(readFileSync(0, "utf8"));
const out = {};
for (const [name, doc] of Object.entries(tokenizers)) {
  const t = new Tokenizer(doc, {});
  out[name] = texts.map((x) => t.encode(x).ids);
}
process.stdout.write(JSON.stringify(out));

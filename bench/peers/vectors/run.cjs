// sqlite-vec as a peer of the suite "vectorize": like graph.cc, with SQLite's own
// vectors and no graph.
//
//   node run.cjs PEER DIM BASE QUERIES THREADS SAVED
"use strict";
const fs = require("node:fs");
const readline = require("node:readline");
const { DatabaseSync } = require("node:sqlite");

const [, dimText, baseName, queryName, , saved] = process.argv.slice(2);
const dim = Number(dimText), k = 10;
const floats = (name) => {
	const b = fs.readFileSync(name);
	return new Float32Array(b.buffer, b.byteOffset, b.byteLength / 4);
};
const row = (from, i) => new Uint8Array(from.slice(i * dim, (i + 1) * dim).buffer);
const seconds = (since) => Number(process.hrtime.bigint() - since) / 1e9;

const times = `${saved}.times`, made = fs.existsSync(times);
if (!made) fs.rmSync(saved, { force: true });
const db = new DatabaseSync(saved, { allowExtension: true });
db.loadExtension(require("sqlite-vec").getLoadablePath());
if (!made) {
	const base = floats(baseName), began = process.hrtime.bigint();
	db.exec(`create virtual table v using vec0(e float[${dim}] distance_metric=cosine)`);
	const insert = db.prepare("insert into v(rowid, e) values (?, ?)");
	db.exec("begin");
	for (let i = 0; i < base.length / dim; i++) insert.run(BigInt(i), row(base, i));
	db.exec("commit");
	const { user, system } = process.cpuUsage();
	fs.writeFileSync(times, `${seconds(began)} ${(user + system) / 1e6}\n`);
}
const [build, processor] = fs.readFileSync(times, "utf8").split(" ").map(Number);
console.log(JSON.stringify({ build, processor, memory: 0 }));

const queries = floats(queryName);
const find = db.prepare(`select rowid from v where e match ? and k = ${k}`);
readline.createInterface({ input: process.stdin }).on("line", (line) => {
	const count = Math.min(Number(line.split(" ")[2]), queries.length / dim);
	const found = [], took = [], start = process.hrtime.bigint();
	for (let i = 0; i < count; i++) {
		const began = process.hrtime.bigint();
		found.push(find.all(row(queries, i)).map((r) => r.rowid));
		took.push(seconds(began));
	}
	const all = seconds(start);
	took.sort((a, b) => a - b);
	console.log(JSON.stringify({ seconds: all, p95: took[Math.floor(count * 0.95)], found }));
});

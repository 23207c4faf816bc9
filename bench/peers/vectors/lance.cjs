// LanceDB as a peer of the suite "vectorize", with HNSW graphs of scalar-quantised
// vectors in one partition: like graph.cc, without filters. How many threads a question
// has is its own affair; THREADS questions are asked at a time.
//
//   node lance.cjs PEER DIM BASE QUERIES THREADS SAVED
"use strict";
const fs = require("node:fs");
const readline = require("node:readline");
const lancedb = require("@lancedb/lancedb");
const arrow = require("apache-arrow");

const [, dimText, baseName, queryName, , saved] = process.argv.slice(2);
const dim = Number(dimText), k = 10;
const floats = (name) => {
	const b = fs.readFileSync(name);
	return new Float32Array(b.buffer, b.byteOffset, b.byteLength / 4);
};
const seconds = (since) => Number(process.hrtime.bigint() - since) / 1e9;

async function build(db) {
	const base = floats(baseName), length = base.length / dim;
	const child = arrow.makeData({ type: new arrow.Float32(), data: base });
	const type = new arrow.FixedSizeList(dim, new arrow.Field("item", new arrow.Float32(), true));
	const vector = new arrow.Vector([arrow.makeData({ type, length, nullCount: 0, child })]);
	const id = arrow.vectorFromArray(Int32Array.from({ length }, (_, i) => i));
	const table = await db.createTable("v", new arrow.Table({ id, vector }));
	const began = process.hrtime.bigint(), before = process.cpuUsage();
	await table.createIndex("vector", { config: lancedb.Index.hnswSq({ distanceType: "cosine", numPartitions: 1, m: 16, efConstruction: 128 }) });
	const { user, system } = process.cpuUsage(before);
	return `${seconds(began)} ${(user + system) / 1e6}\n`;
}

async function main() {
	const times = `${saved}.times`, made = fs.existsSync(times);
	if (!made) fs.rmSync(saved, { recursive: true, force: true });
	const db = await lancedb.connect(saved);
	if (!made) fs.writeFileSync(times, await build(db));
	const table = await db.openTable("v");
	const [took, processor] = fs.readFileSync(times, "utf8").split(" ").map(Number);
	console.log(JSON.stringify({ build: took, processor, memory: 0 }));
	const queries = floats(queryName);
	for await (const line of readline.createInterface({ input: process.stdin })) {
		const [ef, threads, asked] = line.split(" ").map(Number);
		const count = Math.min(asked, queries.length / dim), found = new Array(count), times = [];
		let next = 0;
		const ask = async () => {
			while (next < count) {
				const i = next++, began = process.hrtime.bigint();
				const rows = await table.vectorSearch(queries.subarray(i * dim, (i + 1) * dim)).distanceType("cosine")
					.nprobes(1).ef(Math.max(ef, k)).select(["id", "_distance"]).limit(k).toArray();
				found[i] = rows.map((r) => r.id);
				times.push(seconds(began));
			}
		};
		const start = process.hrtime.bigint();
		await Promise.all(Array.from({ length: threads }, ask));
		const all = seconds(start);
		times.sort((a, b) => a - b);
		console.log(JSON.stringify({ seconds: all, p95: times[Math.floor(count * 0.95)], found }));
	}
}

main().catch((e) => {
	console.error(e);
	process.exit(1);
});

// One peer of the suite "vectorize": builds an index of the vectors in a file,
// then answers lines "ef" on standard input by running every query once.
//
//   node run.cjs PEER DIM BASE QUERIES THREADS
"use strict";
const fs = require("node:fs");
const readline = require("node:readline");

const [peer, dimText, baseName, queryName, threadsText] = process.argv.slice(2);
const dim = Number(dimText), threads = Number(threadsText), k = 10;
const floats = (name) => {
	const b = fs.readFileSync(name);
	return new Float32Array(b.buffer, b.byteOffset, b.byteLength / 4);
};
const base = floats(baseName), queries = floats(queryName);
const n = base.length / dim, q = queries.length / dim;
const row = (from, i) => from.subarray(i * dim, (i + 1) * dim);

const peers = {
	usearch(quantization) {
		const { Index } = require("usearch");
		const make = (ef) => new Index({ metric: "cos", dimensions: dim, connectivity: 16, quantization, expansion_add: 128, expansion_search: ef });
		const first = make(64);
		first.add(BigUint64Array.from({ length: n }, (_, i) => BigInt(i)), base, threads);
		const saved = `${baseName}.usearch-${quantization}`;
		first.save(saved);
		// How far a search looks is fixed when an index is made.
		let index, indexEf;
		return {
			prepare(ef) { if (indexEf !== ef) { index = make(ef); index.load(saved); indexEf = ef; } },
			search: (i) => Array.from(index.search(row(queries, i), k, 1).keys, Number),
		};
	},
	hnswlib() {
		const { HierarchicalNSW } = require("hnswlib-node");
		const index = new HierarchicalNSW("ip", dim);
		index.initIndex(n, 16, 128, 1);
		for (let i = 0; i < n; i++) index.addPoint(Array.from(row(base, i)), i);
		// It takes arrays only; they are made before the clock runs.
		const asked = Array.from({ length: q }, (_, i) => Array.from(row(queries, i)));
		return { prepare: (ef) => index.setEf(ef), search: (i) => index.searchKnn(asked[i], k).neighbors };
	},
	sqlitevec() {
		const { DatabaseSync } = require("node:sqlite");
		const db = new DatabaseSync(":memory:", { allowExtension: true });
		db.loadExtension(require("sqlite-vec").getLoadablePath());
		db.exec(`create virtual table v using vec0(e float[${dim}] distance_metric=cosine)`);
		const insert = db.prepare("insert into v(rowid, e) values (?, ?)");
		db.exec("begin");
		for (let i = 0; i < n; i++) insert.run(BigInt(i), new Uint8Array(row(base, i).slice().buffer));
		db.exec("commit");
		const find = db.prepare(`select rowid from v where e match ? and k = ${k}`);
		return { prepare() {}, search: (i) => find.all(new Uint8Array(row(queries, i).slice().buffer)).map((r) => r.rowid) };
	},
};

const began = process.hrtime.bigint();
const [kind, option] = peer.split("-");
const index = peers[kind](option);
const build = Number(process.hrtime.bigint() - began) / 1e9;
console.log(JSON.stringify({ build, version: require(`./node_modules/${{ usearch: "usearch", hnswlib: "hnswlib-node", sqlitevec: "sqlite-vec" }[kind]}/package.json`).version }));

readline.createInterface({ input: process.stdin }).on("line", (line) => {
	index.prepare(Number(line));
	const found = [], start = process.hrtime.bigint();
	for (let i = 0; i < q; i++) found.push(index.search(i));
	const seconds = Number(process.hrtime.bigint() - start) / 1e9;
	console.log(JSON.stringify({ seconds, found }));
});

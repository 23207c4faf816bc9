// ONNX Runtime as a peer of the suite "encoder".
//
//   node run.cjs MODEL.onnx THREADS
//
// Each line of the input is {"ids": [[…], …], "times": n}: a batch of token ids, all of
// one length, and how often to run it. The answer is a line with the seconds of each
// run, the processor's seconds of all, and the mean of each text's states.
"use strict";
const readline = require("node:readline");
const ort = require("onnxruntime-node");

const [, , model, threads] = process.argv;

async function main() {
	const session = await ort.InferenceSession.create(model, {
		intraOpNumThreads: Number(threads), interOpNumThreads: 1, executionMode: "sequential", graphOptimizationLevel: "all",
	});
	console.log(JSON.stringify({ version: ort.env.versions.node }));
	for await (const line of readline.createInterface({ input: process.stdin })) {
		const { ids, times } = JSON.parse(line);
		const batch = ids.length, n = ids[0].length;
		const tensor = (value) => new ort.Tensor("int64", BigInt64Array.from(value.flat(), BigInt), [batch, n]);
		const feeds = {
			input_ids: tensor(ids), attention_mask: tensor(ids.map((row) => row.map(() => 1))), token_type_ids: tensor(ids.map((row) => row.map(() => 0))),
		};
		const seconds = [], cpu = process.cpuUsage();
		let states;
		for (let i = 0; i < times; i++) {
			const began = process.hrtime.bigint();
			({ last_hidden_state: states } = await session.run(feeds));
			seconds.push(Number(process.hrtime.bigint() - began) / 1e9);
		}
		const { user, system } = process.cpuUsage(cpu);
		const hidden = states.dims[2], means = [];
		for (let b = 0; b < batch; b++) {
			const mean = new Array(hidden).fill(0);
			for (let i = 0; i < n; i++) for (let k = 0; k < hidden; k++) mean[k] += states.data[(b * n + i) * hidden + k] / n;
			means.push(mean);
		}
		console.log(JSON.stringify({ seconds, processor: (user + system) / 1e6, means }));
	}
}

main().catch((e) => { console.error(e); process.exit(1); });

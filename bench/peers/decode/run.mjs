// Runs llama.cpp as the suite "decode" asks, one JSON request a line.
import { createInterface } from "node:readline";
import { getLlama, LlamaLogLevel } from "node-llama-cpp";

const llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.error, maxThreads: Number(process.argv[3]) });
const threads = Number(process.argv[3]);
const began = performance.now();
const model = await llama.loadModel({ modelPath: process.argv[2], gpuLayers: 0 });
const loaded = performance.now() - began;
const context = await model.createContext({ contextSize: 2048, batchSize: 512, threads: { ideal: threads, min: threads } });
const sequence = context.getSequence();
const say = (o) => process.stdout.write(JSON.stringify(o) + "\n");
say({ loadMs: loaded });

for await (const line of createInterface({ input: process.stdin })) {
	const r = JSON.parse(line);
	if (r.text !== undefined) {
		say({ tokens: model.tokenize(r.text, false) });
		continue;
	}
	await sequence.clearHistory();
	if (r.probabilities) {
		const input = r.prompt.map((t) => [t, { generateNext: { probabilities: true, options: { temperature: 1, topK: 0, topP: 1, minP: 0 } } }]);
		const out = await sequence.controlledEvaluate(input);
		say({ probabilities: out.map((o) => [...o.next.probabilities.entries()].slice(0, 50)) });
		continue;
	}
	const t = performance.now();
	let first = 0, n = 0;
	for await (const _ of sequence.evaluate(r.prompt, { temperature: 0, yieldEogToken: true })) {
		if (n === 0) first = performance.now();
		if (++n > r.generate) break;
	}
	say({ firstMs: first - t, restMs: performance.now() - first });
}
process.exit(0);

import { createServer } from "node:http";
import { defaultConfig } from "@shardcast/config";
import { createLog } from "@shardcast/telemetry";
import { ClusterMemory } from "../../dist/cluster-memory.js";
import { stopOnSignals } from "../../dist/signals.js";
import { Supervisor } from "../../dist/supervisor.js";

/** A supervisor over fake children. Arguments: number of shards, cluster directory's base, mode, options as JSON. */
const [shards, base, mode, options] = process.argv.slice(2);
const config = defaultConfig({ ...JSON.parse(options), clusterDirectory: base, logFormat: "json" });
const slots = Array.from({ length: Number(shards) }, (_, slot) => ({ slot, core: 0 }));
const program = new URL("./fake-child.mjs", import.meta.url).pathname;
const supervisor = new Supervisor(
	{
		config,
		topology: { shards: slots, cpus: [0], cpuCount: 1, source: "test", wraps: false },
		mode,
		memory: ClusterMemory.create(base, {
			shards: slots.length,
			ringCapacityBytes: 65_536,
			history: { memoryBytes: 524_288 },
			positions: false,
		}),
		workers: "shard",
		gateway: null,
		listening: null,
		entries: { worker: program, balancer: program },
		certificates: [],
		pin: (core) => (core === null ? { kind: "none" } : { kind: "taskset", core }),
	},
	createLog({ name: "supervisor", level: "debug", format: "json" }),
);
stopOnSignals(supervisor, () => {});
process.on("SIGUSR2", () => {
	supervisor.reload({ ...config, messageRate: 7 });
	for (const path of ["first", "second", "third"])
		supervisor.useCertificates([{ path }]).then(
			() => process.stderr.write(`certificates used: ${path}\n`),
			(error) => process.stderr.write(`certificates not used: ${path}: ${error.message}\n`),
		);
});
// Operations, for tests: POST with [name, ...arguments] in JSON.
const operations = createServer(async (request, response) => {
	const [name, ...args] = JSON.parse(Buffer.concat(await request.toArray()).toString());
	const options = typeof args.at(-1) === "object" ? args.pop() : {};
	response.setHeader("connection", "close");
	const onProgress = (progress) => process.stdout.write(`${JSON.stringify({ name: "supervisor", event: "progress", ...progress })}\n`);
	try {
		response.end(JSON.stringify({ result: await supervisor.operations[name](...args, { ...options, onProgress }) }));
	} catch (error) {
		response.end(JSON.stringify({ error: { name: error.name, code: error.code, message: error.message } }));
	}
}).listen(0, "127.0.0.1");
await new Promise((resolve) => operations.once("listening", resolve));
process.stdout.write(`${JSON.stringify({ name: "supervisor", event: "operations", port: operations.address().port })}\n`);
supervisor.start();
const ready = await supervisor.ready;
process.stdout.write(`${JSON.stringify({ name: "supervisor", event: ready ? "ready" : "never ready", port: supervisor.balancerPort })}\n`);
const { status, failure } = await supervisor.finished;
if (failure !== null) process.stderr.write(`failure: ${failure.message}\n`);
// Operations that the stop has ended are still answered.
await new Promise((resolve) => operations.close(resolve));
process.exit(status);

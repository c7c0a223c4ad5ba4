// Measures the capacity table: `npm run docs:capacity [-- --duration 10s]` runs the load test once per row on this machine and writes the
// numbers to docs/capacity.json, from which docs/generate.mjs makes the table. A row that fails stays in the table, and says so.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

const docs = import.meta.dirname;
const loadtest = join(docs, "../loadtest/dist/main.js");
const usage = "usage: npm run docs:capacity -- [--duration 10s]";
function flags() {
	try {
		return parseArgs({ options: { duration: { type: "string", default: "10s" }, help: { type: "boolean", short: "h" } } }).values;
	} catch (error) {
		console.error(`docs:capacity: ${error.message}\n${usage}`);
		process.exit(2);
	}
}
const { duration, help } = flags();
if (help) {
	console.log(usage);
	process.exit(0);
}

/** Connections and messages per second, 128 bytes each, to everybody. */
const loads = [
	[1000, 20],
	[1000, 100],
	[1000, 500],
	[4000, 50],
	[12_000, 5],
	[12_000, 20],
];
const scratch = mkdtempSync(join(tmpdir(), "shardcast-capacity-"));
const rounded = (value, digits) => Number(value.toFixed(digits));
const rows = [];
let machine;
for (const [connections, rate] of loads) {
	const json = join(scratch, "result.json");
	const start = `--shards 2 --max-connections ${connections + 100} --log-level error`;
	const args = ["--start", start, "--connections", connections, "--rate", rate, "--duration", duration, "--json", json];
	console.error(`${connections} connections, ${rate} messages/s`);
	const { status } = spawnSync(process.execPath, [loadtest, ...args.map(String)], { stdio: ["ignore", "ignore", "inherit"] });
	if (status === 2) {
		// The load test has said what is wrong with the duration.
		rmSync(scratch, { recursive: true });
		process.exit(2);
	}
	const result = JSON.parse(readFileSync(json, "utf8"));
	machine = result.machine;
	const { send, servers = [], problems, cpuUsPerDelivery = 0 } = result;
	const cpuMs = servers.reduce((sum, server) => sum + server.cpuMs, 0);
	rows.push({
		connections,
		rate,
		deliveriesPerSecond: send === undefined ? 0 : Math.round(send.deliveries / send.seconds),
		p50Ms: rounded(send?.latency.p50Ms ?? 0, 1),
		p99Ms: rounded(send?.latency.p99Ms ?? 0, 1),
		cpuUsPerDelivery: rounded(cpuUsPerDelivery, 2),
		cores: send === undefined ? 0 : rounded(cpuMs / 1000 / send.seconds, 2),
		memoryMb: Math.round(servers.reduce((sum, server) => sum + server.pssBytes, 0) / 1e6),
		verdict: problems.length === 0 ? "each exactly once" : problems.join("; "),
		loadAverage: machine.load,
	});
}
rmSync(scratch, { recursive: true });
const loadsSeen = rows.map(({ loadAverage }) => loadAverage);
const facts = `${machine.cpu}, ${machine.cores} cores, ${machine.kernel}, Node ${machine.node}, ${machine.date.slice(0, 10)}; load test and cluster on the same cores, load average of the machine from ${Math.min(...loadsSeen)} to ${Math.max(...loadsSeen)}.`;
writeFileSync(join(docs, "capacity.json"), `${JSON.stringify({ machine: facts, rows }, null, "\t")}\n`);
execFileSync(process.execPath, [join(docs, "generate.mjs"), "write"], { stdio: "inherit" });

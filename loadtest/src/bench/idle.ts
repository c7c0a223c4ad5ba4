import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { roundsFrom, runBench } from "./support/report.ts";
import {
	benchClients,
	benchProgram,
	benchShards,
	connectAll,
	type Subject,
	startBareServer,
	startBenchCluster,
	withCleanup,
} from "./support/subject.ts";

/**
 * What idle connections cost: memory of all server processes (what they grew by since they started, as the kernel accounts
 * it) and CPU while nothing is sent. A fresh server in each round: memory once taken is seldom given back.
 */
const connections = 12_000;
const quietMs = 3_000;
/** A process that has just started holds garbage of its start; only after some seconds of idleness does V8 give it back. */
const settleMs = 15_000;
const windowMs = 10_000;

const rounds = roundsFrom(process.argv.slice(2), 3);

interface Idle {
	readonly bytesPerConnection: number;
	readonly cpuPercent: number;
	readonly wakeUpsPerSecond: number;
	readonly emptyMiB: number;
}

function measure(starting: Promise<Subject>): Promise<Idle> {
	return withCleanup(async (ends) => {
		const { target, servers, stop } = await starting;
		ends.push(stop);
		await sleep(settleMs);
		const emptyBytes = servers.pssBytes();
		const generator = benchClients(target, connections);
		ends.push(() => generator.close("reset"));
		await connectAll(generator, connections);
		await sleep(quietMs);
		const fullBytes = servers.pssBytes();
		const [cpuMsBefore, wakeUpsBefore, startedMs] = [servers.cpuMs(), servers.wakeUps(), performance.now()];
		await sleep(windowMs);
		const passedMs = performance.now() - startedMs;
		const cpuPercent = ((servers.cpuMs() - cpuMsBefore) / passedMs) * 100;
		const wakeUpsPerSecond = ((servers.wakeUps() - wakeUpsBefore) / passedMs) * 1000;
		if (generator.open !== connections) throw new Error(`${connections - generator.open} connections ended while idle`);
		return { bytesPerConnection: (fullBytes - emptyBytes) / connections, cpuPercent, wakeUpsPerSecond, emptyMiB: emptyBytes / 1024 ** 2 };
	});
}

await benchProgram(async () => {
	await runBench({
		name: "idle",
		rounds,
		figures: {
			bytesPerConnection: {
				unit: "B",
				better: "lower",
				help: "growth of the Pss of all server processes, from before the first connection",
			},
			cpuPercent: { unit: "% of a core", better: "lower", help: `all server processes, over ${windowMs / 1000} s without a message` },
			wakeUpsPerSecond: { unit: "/s", better: "lower", help: "of the event loops of all server processes, in the same time" },
			emptyMiB: { unit: "MiB", better: "lower", help: "Pss of all server processes before the first connection" },
		},
		baseline: "bare",
		variants: { bare: () => measure(startBareServer()), cluster: () => measure(startBenchCluster("handoff")) },
		targets: [
			{ variant: "cluster", figure: "bytesPerConnection", atMost: 3_000 },
			{ variant: "cluster", figure: "cpuPercent", atMost: 1 },
			// The same on a busy machine, where CPU time is not.
			{ variant: "cluster", figure: "wakeUpsPerSecond", atMost: 50 },
		],
		setup: { connections, shards: benchShards },
	});
});

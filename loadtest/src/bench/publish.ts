import { performance } from "node:perf_hooks";
import { HttpLoad, type LoadRequest, type LoadTaken, publishRequest } from "./support/http-load.ts";
import { watchOtherCpu } from "./support/other-cpu.ts";
import { otherCpuPercent, roundsFrom, runBench } from "./support/report.ts";
import { benchProgram, benchShards, type Subject, startBareServer, startBenchCluster, withCleanup } from "./support/subject.ts";

/**
 * What publishing over HTTP costs: CPU of all server processes, two shards behind the balancer, against one bare uWebSockets.js process that
 * reads each body and publishes it; nobody listens to either, so that nothing is delivered. At a fixed rate, then as fast as each answers, one
 * message per request and batches of both forms.
 */
const dataBytes = 128;
const batchMessages = 100;
const pacedPerSecond = 500;
const durationMs = 4_000;
const connections = 16;

const rounds = roundsFrom(process.argv.slice(2), 5);

interface Publishing extends LoadTaken {
	readonly seconds: number;
	readonly cpuMs: number;
	readonly otherCpuPercent: number;
}

/** Sends a load and measures what it cost. */
async function measure({ target, servers }: Subject, send: (load: HttpLoad) => Promise<LoadTaken>): Promise<Publishing> {
	return withCleanup(async (ends) => {
		const load = await HttpLoad.open(target.httpUrl, connections);
		ends.push(async () => load.close());
		const [startedMs, cpuMs, otherCpu] = [performance.now(), servers.cpuMs(), watchOtherCpu()];
		const taken = await send(load);
		const tookMs = performance.now() - startedMs;
		const serversMs = servers.cpuMs() - cpuMs;
		return {
			...taken,
			seconds: tookMs / 1000,
			cpuMs: serversMs,
			otherCpuPercent: otherCpu(serversMs),
		};
	});
}

const message = JSON.stringify({ channel: "news", data: "x".repeat(dataBytes) });
const messages = Array.from({ length: batchMessages }, () => message);
const requests = {
	single: publishRequest("bench", "application/json", message, 1),
	array: publishRequest("bench", "application/json", `[${messages.join(",")}]`, batchMessages),
	ndjson: publishRequest("bench", "application/x-ndjson", `${messages.join("\n")}\n`, batchMessages),
};

const setup = { connections, dataBytes, batchMessages, shards: benchShards };

await benchProgram(async (ends) => {
	const started = async (starting: Promise<Subject>): Promise<Subject> => {
		const subject = await starting;
		ends.push(subject.stop);
		return subject;
	};
	const bare = await started(startBareServer());
	const cluster = await started(startBenchCluster("handoff"));

	const paced = async (subject: Subject) => {
		const taken = await measure(subject, (load) => load.paced(requests.single, pacedPerSecond, durationMs));
		return { cpuUsPerRequest: (taken.cpuMs * 1000) / taken.requests, otherCpuPercent: taken.otherCpuPercent };
	};
	await runBench({
		name: `publish-${pacedPerSecond}`,
		rounds,
		warmups: 1,
		figures: {
			cpuUsPerRequest: { unit: "µs", better: "lower", help: "CPU of all server processes (supervisor, balancer, shards) per request" },
			otherCpuPercent,
		},
		baseline: "bare",
		variants: { bare: () => paced(bare), single: () => paced(cluster) },
		setup: { ...setup, requestsPerSecond: pacedPerSecond },
	});
	console.log("");

	const flatOut = async (subject: Subject, request: LoadRequest) => {
		const taken = await measure(subject, (load) => load.flatOut(request, durationMs));
		return {
			requestsPerSecond: taken.requests / taken.seconds,
			messagesPerSecond: taken.messages / taken.seconds,
			cpuUsPerMessage: (taken.cpuMs * 1000) / taken.messages,
			refusedPercent: (1 - taken.messages / (taken.requests * request.messages)) * 100,
			otherCpuPercent: taken.otherCpuPercent,
		};
	};
	await runBench({
		name: "publish",
		rounds,
		warmups: 1,
		figures: {
			requestsPerSecond: { unit: "requests/s", better: "higher", help: "answered; the machine is shared with the one that sends them" },
			messagesPerSecond: { unit: "messages/s", better: "higher" },
			cpuUsPerMessage: { unit: "µs", better: "lower", help: "CPU of all server processes per message published" },
			refusedPercent: { unit: "% of messages", better: "lower", compared: false, help: "answered 429, since the bus was full" },
			otherCpuPercent,
		},
		baseline: "bare",
		variants: {
			bare: () => flatOut(bare, requests.single),
			single: () => flatOut(cluster, requests.single),
			array: () => flatOut(cluster, requests.array),
			ndjson: () => flatOut(cluster, requests.ndjson),
		},
		targets: [
			{ variant: "array", figure: "cpuUsPerMessage", ratioAtMost: 0.3 },
			{ variant: "ndjson", figure: "cpuUsPerMessage", ratioAtMost: 0.3 },
		],
		setup,
	});
});

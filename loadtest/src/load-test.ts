import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { LoadGenerator } from "./generator.ts";
import { type KafkaSubject, prepareKafka } from "./kafka-subject.ts";
import { machineFacts } from "./machine.ts";
import { NodeServers } from "./node-servers.ts";
import type { LoadTestOptions } from "./options.ts";
import { OwnCluster } from "./own-cluster.ts";
import type { ProgressView } from "./report/progress-view.ts";
import { generatorWarnings, type LoadTestResult, type NodeResult, rampProblems, sendProblems } from "./report/result.ts";
import { spreadPercent } from "./servers.ts";
import type { KafkaTarget } from "./thread/kafka-source.ts";

/**
 * The whole test: start (when asked), ramp, hold, send, stop. Fills `result` as it goes, so that an interrupted test can show
 * what it has. @throws what makes a test impossible (no server, no cluster); what a test *finds* is in `result.problems`.
 */
export async function runLoadTest(
	options: LoadTestOptions,
	view: ProgressView,
	result: LoadTestResult,
	signal: AbortSignal,
): Promise<void> {
	const { source, kafkaBrokers, kafkaTopic, channels } = options;
	const kafka = source === "kafka" ? await prepareKafka(kafkaBrokers, kafkaTopic, channels > 0) : null;
	try {
		await runWith(kafka, options, view, result, signal);
	} finally {
		await kafka?.stop();
	}
}

async function runWith(
	kafka: KafkaSubject | null,
	options: LoadTestOptions,
	view: ProgressView,
	result: LoadTestResult,
	signal: AbortSignal,
): Promise<void> {
	const cluster =
		options.start === null ? null : await OwnCluster.start([...options.start, ...(kafka?.clusterFlags ?? [])], options.startNodes);
	try {
		const targets = cluster?.targets ?? options.targets;
		await runOn({ ...options, targets }, kafka?.target ?? null, view, result, signal);
	} finally {
		const problems = (await cluster?.stop()) ?? [];
		// Ctrl-C also reaches the cluster, which would then get two signals and close its clients at once.
		if (!signal.aborted) result.problems.push(...problems);
	}
}

export function emptyResult(options: LoadTestOptions): LoadTestResult {
	return { machine: machineFacts(), options, warnings: [], problems: [] };
}

async function runOn(
	options: LoadTestOptions,
	kafka: KafkaTarget | null,
	view: ProgressView,
	result: LoadTestResult,
	signal: AbortSignal,
): Promise<void> {
	const { targets, connections } = options;
	const servers = await NodeServers.find(targets);
	const pssBefore = servers.pssBytes();
	const pssBytesBefore = sumOf(pssBefore);
	const generator = new LoadGenerator({ ...options, kafka });
	const interrupted = new Promise<never>((_, reject) => {
		signal.addEventListener("abort", () => reject(new Interrupted()), { once: true });
	});
	interrupted.catch(() => {}); // seen where it is raced
	try {
		const until = <T>(work: Promise<T>): Promise<T> => Promise.race([work, interrupted]);
		const opening = { name: "connect", total: connections, unit: "connections", done: () => generator.open };
		result.ramp = await view.during(opening, () => until(generator.ramp(options.rampMs)));
		result.problems.push(...rampProblems(result.ramp, connections));
		const { openedByNode, seconds } = result.ramp;
		const nodes: NodeResult[] = targets.map(({ host, port }, node) => ({
			address: `${host}:${port}`,
			connections: openedByNode[node],
			connectsPerSecond: openedByNode[node] / seconds,
		}));
		result.nodes = nodes;
		const shards = await servers.shardConnections();
		result.shards = { connections: shards, spreadPercent: spreadPercent(shards) };
		if (result.ramp.opened < connections) return;

		const holdCpuMs = servers.cpuMs();
		const holdMs = performance.now();
		await until(sleep(options.holdMs));
		const pssAfter = servers.pssBytes();
		const pssBytesAfter = sumOf(pssAfter);
		for (const [node, found] of nodes.entries())
			if (pssAfter[node] > 0) found.pssBytesPerConnection = (pssAfter[node] - pssBefore[node]) / found.connections;
		result.hold = {
			cpuPercent: ((servers.cpuMs() - holdCpuMs) / Math.max(1, performance.now() - holdMs)) * 100,
			pssBytesBefore,
			pssBytesAfter,
			pssBytesPerConnection: (pssBytesAfter - pssBytesBefore) / connections,
		};

		const planned = Math.max(1, Math.round((options.rate * options.durationMs) / 1000));
		const cpuBefore = servers.cpuMsByProcess();
		const sending = { name: "send", total: planned, unit: "messages", done: () => generator.sent };
		const { rate, bytes, durationMs, settleMs } = options;
		result.send = await view.during(sending, () =>
			until(
				generator.send({
					rate,
					bytes,
					durationMs,
					settleMs,
					onArrived: () => {
						const used = servers.usageSince(cpuBefore);
						result.servers = used.flatMap(({ usage }) => usage);
						for (const [node, { usage }] of used.entries())
							if (usage.length > 0) nodes[node].cpuMs = sumOf(usage.map(({ cpuMs }) => cpuMs));
						const gone = used.flatMap((part) => part.gone);
						result.problems.push(...gone.map(({ name, pid }) => `the server's ${name} (pid ${pid}) ended during the test`));
					},
				}),
			),
		);
		for (const [node, { expected, received, latency }] of result.send.nodes.entries())
			Object.assign(nodes[node], { expected, received, p50Ms: latency.p50Ms, p99Ms: latency.p99Ms });
		result.warnings.push(...generatorWarnings(result.send, result.machine.cores));
		result.problems.push(...sendProblems(result.send));
		const cpuMs = sumOf((result.servers ?? []).map((server) => server.cpuMs));
		if (cpuMs > 0) result.cpuUsPerDelivery = (cpuMs * 1000) / result.send.deliveries;
	} catch (error) {
		if (!(error instanceof Interrupted)) throw error;
		result.interrupted = { open: generator.open, sent: generator.sent, received: generator.received };
	} finally {
		await generator.close(signal.aborted ? "reset" : "handshake");
	}
}

function sumOf(values: readonly number[]): number {
	return values.reduce((sum, value) => sum + value, 0);
}

class Interrupted extends Error {}

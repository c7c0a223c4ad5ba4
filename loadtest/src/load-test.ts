import { lookup } from "node:dns/promises";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { machineBusyMs } from "@shardcast/testkit";
import { LoadGenerator, type SendReport } from "./generator.ts";
import { type KafkaSubject, prepareKafka } from "./kafka-subject.ts";
import { machineFacts } from "./machine.ts";
import { NodeServers } from "./node-servers.ts";
import type { LoadTestOptions } from "./options.ts";
import { OwnCluster } from "./own-cluster.ts";
import { generatorWarnings } from "./report/generator-warnings.ts";
import { mergeLatencies, summariseLatency } from "./report/latency.ts";
import type { ProgressView } from "./report/progress-view.ts";
import { connectFindings, type LoadTestResult, type NodeResult, noteFindings, resultVersion, sendFindings } from "./report/result.ts";
import { intervalSecondsFor } from "./series/series.ts";
import { SeriesCollector } from "./series/series-collector.ts";
import { spreadPercent } from "./servers.ts";
import { withAddresses } from "./target.ts";
import type { KafkaTarget } from "./thread/kafka-source.ts";
import { plannedMessages } from "./thread/pacer.ts";
import { judge } from "./thresholds/threshold.ts";

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
		result.thresholds = options.thresholds.map((threshold) => judge(threshold, result));
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
		const targets = cluster?.targets ?? (await withAddresses(options.targets, lookup));
		await runOn({ ...options, targets }, kafka?.target ?? null, view, result, signal);
	} finally {
		const problems = (await cluster?.stop()) ?? [];
		// Ctrl-C also reaches the cluster, which would then get two signals and close its clients at once.
		if (!signal.aborted) result.problems.push(...problems);
	}
}

/** The options without what nobody should read in a file: values of headers, and tokens in URLs. */
export function emptyResult(options: LoadTestOptions): LoadTestResult {
	const targets = options.targets.map((target) => ({ ...target, path: target.path.replace(/\?.*$/s, "?…") }));
	const headers = Object.fromEntries(Object.keys(options.headers).map((name) => [name, "…"]));
	return {
		kind: "shardcast-loadtest",
		version: resultVersion,
		machine: machineFacts(),
		options: { ...options, targets, headers },
		thresholds: [],
		warnings: [],
		problems: [],
	};
}

async function runOn(
	options: LoadTestOptions,
	kafka: KafkaTarget | null,
	view: ProgressView,
	result: LoadTestResult,
	signal: AbortSignal,
): Promise<void> {
	if (signal.aborted) return;
	const servers = await NodeServers.find(options.targets);
	const generator = new LoadGenerator({
		...options,
		kafka,
		leavingMs: options.settleMs,
		mayFail: options.thresholds.some(({ figure }) => figure === "connects-failed"),
		...(options.sourceAddresses !== null && { addresses: options.sourceAddresses }),
	});
	let open = 0;
	const halt = (): void => {
		// The same Ctrl-C may end the cluster, and with it the connections.
		open = generator.open;
		generator.halt();
	};
	signal.addEventListener("abort", halt, { once: true });
	try {
		const run = new Run(options, servers, generator, view, result, signal);
		if (await run.ramp()) {
			await run.hold();
			if (!signal.aborted) await run.send();
		}
		if (signal.aborted) result.interrupted = { open, sent: generator.sent, received: generator.received };
	} finally {
		signal.removeEventListener("abort", halt);
		await generator.close(signal.aborted ? "reset" : "handshake");
	}
}

/** The phases of a load test on servers that run. */
class Run {
	readonly #options: LoadTestOptions;
	readonly #servers: NodeServers;
	readonly #generator: LoadGenerator;
	readonly #view: ProgressView;
	readonly #result: LoadTestResult;
	readonly #signal: AbortSignal;
	readonly #pssBefore: readonly number[];
	#nodes: NodeResult[] = [];

	constructor(
		options: LoadTestOptions,
		servers: NodeServers,
		generator: LoadGenerator,
		view: ProgressView,
		result: LoadTestResult,
		signal: AbortSignal,
	) {
		this.#options = options;
		this.#servers = servers;
		this.#generator = generator;
		this.#view = view;
		this.#result = result;
		this.#signal = signal;
		this.#pssBefore = servers.pssBytes();
	}

	/** Opens the connections, or with stages those of the senders. @returns whether to go on. */
	async ramp(): Promise<boolean> {
		const { connections, clientStages, rampMs, targets, thresholds } = this.#options;
		const result = this.#result;
		const total = clientStages === null ? connections : this.#generator.clientsAtStart;
		const opening = { name: "connect", total, unit: "connections", done: () => this.#generator.open };
		result.ramp = await this.#view.during(opening, () => this.#generator.ramp(rampMs));
		result.connects = await this.#generator.connects();
		const { opened, openedByNode, seconds, failures } = result.ramp;
		this.#nodes = targets.map(({ name, port }, node) => ({
			address: `${name}:${port}`,
			connections: openedByNode[node],
			connectsPerSecond: seconds > 0 ? openedByNode[node] / seconds : 0,
		}));
		result.nodes = this.#nodes;
		if (this.#signal.aborted) return false;
		await this.#readShards();
		noteFindings(result, connectFindings(total, opened, failures), thresholds);
		// Without a threshold, a test that can not open its connections has nothing more to tell.
		return opened === total || (opened > 1 && result.problems.length === 0);
	}

	async hold(): Promise<void> {
		const { holdMs, clientStages } = this.#options;
		if (clientStages !== null) return;
		const servers = this.#servers;
		const cpuMs = servers.cpuMs();
		const startMs = performance.now();
		await sleep(holdMs, undefined, { signal: this.#signal }).catch(() => {}); // the caller sees that it was interrupted
		if (this.#signal.aborted) return;
		const pssAfter = servers.pssBytes();
		const [pssBytesBefore, pssBytesAfter] = [sumOf(this.#pssBefore), sumOf(pssAfter)];
		for (const [node, found] of this.#nodes.entries())
			if (pssAfter[node] > 0) found.pssBytesPerConnection = (pssAfter[node] - this.#pssBefore[node]) / found.connections;
		this.#result.hold = {
			cpuPercent: ((servers.cpuMs() - cpuMs) / Math.max(1, performance.now() - startMs)) * 100,
			pssBytesBefore,
			pssBytesAfter,
			pssBytesPerConnection: (pssBytesAfter - pssBytesBefore) / this.#result.ramp!.opened,
		};
	}

	async send(): Promise<void> {
		const { rate, rateStages, bytes, durationMs, settleMs, rampMs, clientStages } = this.#options;
		const result = this.#result;
		const generator = this.#generator;
		const servers = this.#servers;
		const load = { rate, rateStages, bytes, durationMs };
		const series = new SeriesCollector(intervalSecondsFor(durationMs), clientStages, () => {
			const { user, system } = process.cpuUsage();
			const { open, opened, failed, sent } = generator;
			return { open, opened, failed, sent, generatorCpuMs: (user + system) / 1000, serverCpuMs: servers.cpuMsOrNull() };
		});
		const cpuBefore = servers.cpuMsByProcess();
		const machineBefore = machineBusyMs();
		const startMs = performance.now();
		let [machineMs, tookMs] = [0, 0];
		const sending = { name: "send", total: plannedMessages(load), unit: "messages", done: () => generator.sent };
		const onArrived = (): void => {
			machineMs = machineBusyMs() - machineBefore;
			tookMs = performance.now() - startMs;
			this.#readUsage(cpuBefore);
		};
		const options = { ...load, settleMs, connectMs: rampMs, series, signal: this.#signal, onArrived };
		result.send = await this.#view.during(sending, () => generator.send(options));
		result.series = series.finish();
		for (const [node, { expected, received, latency }] of result.send.nodes.entries())
			Object.assign(this.#nodes[node], { expected, received, p50Ms: latency.p50Ms, p99Ms: latency.p99Ms });
		if (clientStages !== null) await this.#readStaged();
		const cpuMs = sumOf((result.servers ?? []).map((server) => server.cpuMs));
		if (cpuMs > 0 && result.send.deliveries > 0) result.cpuUsPerDelivery = (cpuMs * 1000) / result.send.deliveries;
		const otherMs = Math.max(0, machineMs - cpuMs - result.send.cpuMs);
		// Without processes of the server nobody knows whether the others are the server.
		if (servers.areKnown && tookMs > 0) result.otherCpuPercent = (otherMs / (tookMs * result.machine.cores)) * 100;
		this.#judge(result.send);
	}

	#judge(send: SendReport): void {
		const { cores } = this.#result.machine;
		const isShared = this.#options.targets.some(({ isLocal }) => isLocal);
		this.#result.warnings.push(...generatorWarnings(send, { cores, isShared, otherCpuPercent: this.#result.otherCpuPercent ?? 0 }));
		// Ctrl-C reaches a cluster of the test's own as well: what its end has cost is no finding.
		if (!this.#signal.aborted || this.#options.start === null) noteFindings(this.#result, sendFindings(send), this.#options.thresholds);
	}

	/** Connections of clients that came and went. */
	async #readStaged(): Promise<void> {
		const result = this.#result;
		const { latency: _early, ...connects } = await this.#generator.connects();
		const histogram = mergeLatencies([result.connects!.histogram, connects.histogram]);
		result.connects = { ...connects, histogram, latency: summariseLatency([histogram]) };
		for (const [node, found] of this.#nodes.entries()) found.connections = connects.openedByNode[node];
		await this.#readShards();
		const atStart = this.#generator.clientsAtStart - result.ramp!.opened;
		// What did not open at the start has been noted.
		const failed = Object.values(connects.failures).reduce((sum, count) => sum + count, 0);
		const { attempted, failures } = connects;
		if (failed > atStart) noteFindings(result, connectFindings(attempted, attempted - failed, failures), this.#options.thresholds);
	}

	async #readShards(): Promise<void> {
		const connections = await this.#servers.shardConnections().catch(() => []); // a server that has died is told elsewhere
		this.#result.shards = { connections, spreadPercent: spreadPercent(connections) };
	}

	#readUsage(cpuBefore: readonly (readonly number[])[]): void {
		const used = this.#servers.usageSince(cpuBefore);
		this.#result.servers = used.flatMap(({ usage }) => usage);
		for (const [node, { usage }] of used.entries()) if (usage.length > 0) this.#nodes[node].cpuMs = sumOf(usage.map(({ cpuMs }) => cpuMs));
		if (this.#signal.aborted && this.#options.start !== null) return; // the same Ctrl-C
		const gone = used.flatMap((part) => part.gone);
		this.#result.problems.push(...gone.map(({ name, pid }) => `the server's ${name} (pid ${pid}) ended during the test`));
	}
}

function sumOf(values: readonly number[]): number {
	return values.reduce((sum, value) => sum + value, 0);
}

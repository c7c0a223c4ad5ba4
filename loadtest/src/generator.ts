import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { MessageChannel } from "node:worker_threads";
import { type DeliveryReport, mergeReports } from "@shardcast/testkit";
import { monotonicMs } from "@shardcast/wire";
import { Piscina } from "piscina";
import { Audience, type AudienceOptions, type GeneratorPlace } from "./audience.ts";
import { type ProtocolKind, protocolKinds } from "./protocols/protocol-kinds.ts";
import { type LatencySummary, mergeLatencies, summariseLatency } from "./report/latency.ts";
import { Progress, ProgressCounters } from "./report/progress-counters.ts";
import type { SeriesCollector } from "./series/series-collector.ts";
import { share } from "./share.ts";
import { clientsOpened, cornersOf, type Stage } from "./stages/stages.ts";
import { sourceAddresses, type Target } from "./target.ts";
import type { IntervalPart } from "./thread/interval-recorder.ts";
import type { KafkaTarget } from "./thread/kafka-source.ts";
import { type Load, plannedMessages } from "./thread/pacer.ts";
import { runInProcess } from "./thread/process.ts";
import type { Disconnection, NodeDeliveries, Sent, ThreadLoad, ThreadTask } from "./thread/protocol.ts";
import { RemoteThread } from "./thread/remote.ts";
import { type SourceKind, sourceKinds } from "./thread/source-kinds.ts";

export interface GeneratorOptions {
	/** The nodes that the clients are spread over. */
	readonly targets: readonly Target[];
	readonly connections: number;
	readonly senders: number;
	/** 0 = broadcast. */
	readonly channels: number;
	readonly source: SourceKind;
	/** What the clients speak (raw). */
	readonly protocol?: ProtocolKind;
	/** For the source of that kind. */
	readonly kafka?: KafkaTarget | null;
	/** Threads that receive; one more sends. */
	readonly receivers: number;
	/** Each receiver is a process, since one process may not have as many connections open (false). */
	readonly receiversAreProcesses?: boolean;
	/** Connections being opened at the same time. */
	readonly inFlight: number;
	/** Loopback addresses to connect from; the usual ones for that many connections when not given. */
	readonly addresses?: readonly string[];
	/** Clients come and go while messages are sent (null). `connections` are then all that there will ever be. */
	readonly clientStages?: readonly Stage[] | null;
	/** With stages: what was sent so long before a client is closed, it must have got. */
	readonly leavingMs?: number;
	/** Connections that do not open are left out, instead of counting what they do not get as lost (false). */
	readonly mayFail?: boolean;
	/** One of several load tests. */
	readonly generator?: GeneratorPlace;
	/** Sent with each request. */
	readonly headers?: Readonly<Record<string, string>>;
}

/** All connections tried since the ramp began. */
export interface ConnectsReport {
	readonly attempted: number;
	readonly opened: number;
	readonly openedByNode: readonly number[];
	readonly failures: Readonly<Record<string, number>>;
	readonly latency: LatencySummary;
	/** From which the summary comes, to be merged with others. */
	readonly histogram: string;
}

export interface RampReport {
	readonly opened: number;
	readonly openedByNode: readonly number[];
	readonly failures: Readonly<Record<string, number>>;
	readonly seconds: number;
	readonly connectsPerSecond: number;
}

/** Deliveries of one node's clients since the connections were opened, and latencies of this load. */
export interface NodeReport extends NodeDeliveries {
	readonly latency: LatencySummary;
}

export interface SendReport {
	/** Messages sent, and deliveries that they should have made. */
	readonly sent: number;
	readonly planned: number;
	readonly expected: number;
	/** Since the connections were opened, over all loads on them. */
	readonly delivery: DeliveryReport;
	/** Deliveries in this load alone. */
	readonly deliveries: number;
	readonly latency: LatencySummary;
	/** From which the summary comes, to be merged with others. */
	readonly histogram: string;
	/** Of each node's clients. */
	readonly nodes: readonly NodeReport[];
	/** From the first message sent to the last one received. */
	readonly seconds: number;
	/** Messages that the server refused, by reason, since the connections were opened. */
	readonly refusals: Readonly<Record<string, number>>;
	/** How late the generator sent its messages, at worst. */
	readonly lateMsMax: number;
	/** Connections that ended by themselves since the ramp. */
	readonly brokenOff: Readonly<Record<string, number>>;
	readonly threads: readonly ThreadLoad[];
	/** CPU time of the load generator. */
	readonly cpuMs: number;
}

export interface SendOptions extends Load {
	/** How long to wait for outstanding messages while none arrives. */
	readonly settleMs: number;
	/** Called when the last expected message has come: the moment to read the servers' CPU time. */
	readonly onArrived?: () => void;
	/** Gets what happens in each interval. */
	readonly series?: SeriesCollector | null;
	/** With stages of clients: a connection without an answer is given up after this time. */
	readonly connectMs?: number;
	/** Ends the load early; what has come by then is reported. */
	readonly signal?: AbortSignal;
}

/** How long to wait after the last expected message, since duplicates arrive a little later. */
const stragglersMs = 250;
const pollMs = 10;
/** With stages each client is asked what it misses, which takes longer. */
const stagedPollMs = 200;
/** After it was ended early, a load waits for its last messages no longer than this. */
const haltedSettleMs = 1_000;
const closeMs = 10_000;
const connectMsDefault = 60_000;
const leavingMsDefault = 5_000;

/**
 * Many WebSocket clients on several threads, as one object: opens them, sends, checks, measures. Loads can follow each other
 * on the same connections. Every step is bounded in time.
 */
export class LoadGenerator {
	readonly #options: GeneratorOptions;
	readonly #audience: Audience;
	readonly #progress: ProgressCounters;
	readonly #pool: Piscina;
	readonly #threads: RemoteThread[];
	readonly #tracksLives: boolean;
	#expected = 0;
	#series: SeriesCollector | null = null;

	constructor(options: GeneratorOptions) {
		this.#options = options;
		const protocol = options.protocol ?? "raw";
		const audience: AudienceOptions = {
			connections: options.connections,
			senders: options.senders,
			sendersListen: sourceKinds[options.source].sendersListen,
			echoes: protocolKinds[protocol].echoes,
			channels: options.channels,
			nodes: options.targets.length,
			...(options.generator && { generator: options.generator }),
		};
		this.#audience = new Audience(audience);
		this.#tracksLives = (options.clientStages ?? null) !== null || options.mayFail === true;
		const threads = options.receivers + 1;
		this.#progress = new ProgressCounters({ threads });
		this.#pool = new Piscina({
			filename: join(import.meta.dirname, "thread/main.js"),
			minThreads: options.receiversAreProcesses ? 1 : threads,
			maxThreads: options.receiversAreProcesses ? 1 : threads,
			concurrentTasksPerWorker: 1,
			// A task lasts as long as the generator and lives on its event loop; the pool's blocking wait would stop that loop.
			atomics: "disabled",
		});
		const addresses = options.addresses ?? sourceAddresses(options.targets, options.connections);
		// The sending thread has the senders' connections and no others, so that receiving does not disturb its pace.
		let firstClient = 0;
		this.#threads = Array.from({ length: threads }, (_, thread) => {
			const clients = thread === 0 ? this.#audience.senderClients : this.#clientsOf(thread - 1);
			const onInterval = (part: IntervalPart): void => this.#series?.add(part);
			const isProcess = thread > 0 && options.receiversAreProcesses === true;
			const { port1, port2 } = new MessageChannel();
			const task: ThreadTask = {
				thread,
				firstClient,
				clients,
				targets: options.targets,
				sourceAddresses: addresses,
				headers: options.headers ?? {},
				staged: this.#tracksLives
					? { openAtStart: thread === 0 || !options.clientStages ? clients : 0, leavingMs: options.leavingMs ?? leavingMsDefault }
					: null,
				audience,
				protocol,
				progress: this.#progress.buffer,
				source: thread === 0 ? options.source : null,
				kafka: options.kafka ?? null,
				isProcess,
				port: port2,
			};
			firstClient += clients;
			if (isProcess)
				return new RemoteThread(port1, runInProcess(join(import.meta.dirname, "thread/process-main.js"), task, this.#progress), onInterval);
			return new RemoteThread(port1, this.#pool.run(task, { transferList: [port2] }) as Promise<void>, onInterval);
		});
	}

	/** Connections open now. */
	get open(): number {
		return this.#progress.total(Progress.opened) - this.#progress.total(Progress.ended);
	}

	/** Clients that `ramp` opens. */
	get clientsAtStart(): number {
		return this.#options.clientStages ? this.#audience.senderClients : this.#options.connections;
	}

	/** Connections that opened, so far. */
	get opened(): number {
		return this.#progress.total(Progress.opened);
	}

	/** Connections that did not open, so far. */
	get failed(): number {
		return this.#progress.total(Progress.failed);
	}

	get sent(): number {
		return this.#progress.total(Progress.sent);
	}

	get received(): number {
		return this.#progress.total(Progress.received);
	}

	/** Opens all connections; those without an answer at the deadline are given up. */
	async ramp(deadlineMs: number): Promise<RampReport> {
		const inFlight = (thread: number): number => Math.max(1, share(this.#options.inFlight, this.#threads.length, thread));
		const parts = await Promise.all(this.#threads.map((thread, index) => thread.call("ramp", { inFlight: inFlight(index), deadlineMs })));
		const startedMs = Math.min(...parts.map((part) => part.startedMs));
		const seconds = (Math.max(...parts.map((part) => part.endedMs)) - startedMs) / 1000;
		const opened = parts.reduce((sum, part) => sum + part.opened, 0);
		const openedByNode = this.#options.targets.map((_, node) => parts.reduce((sum, part) => sum + part.openedByNode[node], 0));
		return { opened, openedByNode, failures: addUp(parts.map((part) => part.failures)), seconds, connectsPerSecond: opened / seconds };
	}

	/** Connections since the ramp began; latencies of those that it has not told yet. */
	async connects(): Promise<ConnectsReport> {
		const parts = await Promise.all(this.#threads.map((thread) => thread.call("connects")));
		const histogram = mergeLatencies(parts.map(({ latency }) => latency));
		return {
			attempted: sumOf(parts.map(({ attempted }) => attempted)),
			opened: sumOf(parts.map(({ opened }) => opened)),
			openedByNode: this.#options.targets.map((_, node) => sumOf(parts.map(({ openedByNode }) => openedByNode[node]))),
			failures: addUp(parts.map(({ failures }) => failures)),
			latency: summariseLatency([histogram]),
			histogram,
		};
	}

	/** Ends a ramp or a load that is under way early; it resolves with what it has. */
	halt(): void {
		for (const thread of this.#threads) thread.halt();
	}

	/** Sends one load and waits until everything has arrived, or until nothing more comes. */
	async send({ settleMs, onArrived, series = null, connectMs = connectMsDefault, signal, ...load }: SendOptions): Promise<SendReport> {
		this.#series = series;
		const clock = series?.start(monotonicMs()) ?? null;
		await Promise.all(this.#threads.map((thread) => thread.call("begin", { clock })));
		const cpuBefore = process.cpuUsage();
		const receivedBefore = this.received;
		const expectedBefore = this.#expected;
		const startedMs = performance.now();

		const [pace] = await Promise.all([this.#threads[0].call("send", load), this.#follow(connectMs)]);
		const sent: Sent = { sentBySender: pace.sentBySender, log: pace.log };
		const lastMs = await this.#settle(sent, settleMs, signal);
		onArrived?.();
		const seconds = (lastMs - startedMs) / 1000;
		const cpu = process.cpuUsage(cpuBefore);
		await sleep(stragglersMs);

		if (series !== null) await Promise.all(this.#threads.map((thread) => thread.call("flush")));
		this.#series = null;
		const parts = await Promise.all(this.#threads.map((thread) => thread.call("collect", sent)));
		if (this.#tracksLives) this.#expected = sumOf(parts.flatMap((part) => part.byNode.map(({ expected }) => expected)));
		const histogram = mergeLatencies(parts.flatMap((part) => part.latency));
		return {
			sent: pace.sent,
			planned: signal?.aborted ? pace.sent : plannedMessages(load),
			expected: this.#expected - expectedBefore,
			delivery: mergeReports(parts.map((part) => part.delivery)),
			deliveries: this.received - receivedBefore,
			latency: summariseLatency([histogram]),
			histogram,
			nodes: this.#options.targets.map((_, node) => ({
				expected: sumOf(parts.map((part) => part.byNode[node].expected)),
				received: sumOf(parts.map((part) => part.byNode[node].received)),
				latency: summariseLatency(parts.map((part) => part.latency[node])),
			})),
			seconds,
			refusals: addUp([pace.refusals, ...parts.map((part) => part.refusals)]),
			lateMsMax: pace.lateMsMax,
			brokenOff: addUp(parts.map((part) => part.brokenOff)),
			threads: parts.map((part) => part.load),
			cpuMs: parts.reduce((sum, part) => sum + part.cpuMs, (cpu.user + cpu.system) / 1000),
		};
	}

	/** With stages: lets the clients of the receivers come and go. */
	async #follow(connectMs: number): Promise<void> {
		const { clientStages, receivers, inFlight } = this.#options;
		if (!clientStages) return;
		const others = this.#audience.senderClients;
		const options = { stages: clientStages, receivers, others, connectMs };
		await Promise.all(
			this.#threads
				.slice(1)
				.map((thread, receiver) =>
					thread.call("follow", { ...options, receiver, inFlight: Math.max(1, share(inFlight, receivers, receiver)) }),
				),
		);
	}

	/** Waits for what must come. @returns when the last message came, or when sending ended. */
	async #settle(sent: Sent, settleMs: number, signal: AbortSignal | undefined): Promise<number> {
		if (!this.#tracksLives)
			this.#expected = sent.sentBySender.reduce((sum, count, sender) => sum + count * this.#audience.listenersOf(sender), 0);
		const isComplete = async (): Promise<boolean> => {
			if (!this.#tracksLives) return this.received >= this.#expected;
			return sumOf(await Promise.all(this.#threads.map((thread) => thread.call("outstanding", sent)))) === 0;
		};
		let lastMs = performance.now();
		let last = this.received;
		while (performance.now() - lastMs < (signal?.aborted ? Math.min(settleMs, haltedSettleMs) : settleMs)) {
			if (await isComplete()) break;
			await sleep(this.#tracksLives ? stagedPollMs : pollMs);
			if (this.received === last) continue;
			last = this.received;
			lastMs = performance.now();
		}
		return lastMs;
	}

	/** Clients that a receiver opens, first to last. */
	#clientsOf(receiver: number): number {
		const { connections, receivers, clientStages } = this.#options;
		const { senderClients } = this.#audience;
		if (!clientStages) return share(connections - senderClients, receivers, receiver);
		return clientsOpened(cornersOf(clientStages).map((count) => share(Math.max(0, count - senderClients), receivers, receiver)));
	}

	/** Ends all connections; `ramp` opens them again. */
	async disconnect(how: Disconnection["how"]): Promise<void> {
		await Promise.all(this.#threads.map((thread) => thread.call("disconnect", { how, deadlineMs: closeMs })));
	}

	/** Ends all connections and threads. */
	async close(how: Disconnection["how"] = "handshake"): Promise<void> {
		await Promise.allSettled(this.#threads.map((thread) => thread.close({ how, deadlineMs: closeMs })));
		await this.#pool.destroy();
	}
}

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

function addUp(parts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
	const total: Record<string, number> = {};
	for (const part of parts) for (const [name, count] of Object.entries(part)) total[name] = (total[name] ?? 0) + count;
	return total;
}

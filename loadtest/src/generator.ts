import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { MessageChannel } from "node:worker_threads";
import { type DeliveryReport, mergeReports } from "@shardcast/testkit";
import { Piscina } from "piscina";
import { Audience } from "./audience.ts";
import { type ProtocolKind, protocolKinds } from "./protocols/protocol-kinds.ts";
import { type LatencySummary, summariseLatency } from "./report/latency.ts";
import { Progress, ProgressCounters } from "./report/progress-counters.ts";
import { sourceAddresses, type Target } from "./target.ts";
import type { KafkaTarget } from "./thread/kafka-source.ts";
import type { Load } from "./thread/pacer.ts";
import { runInProcess } from "./thread/process.ts";
import type { Disconnection, NodeDeliveries, ThreadLoad, ThreadTask } from "./thread/protocol.ts";
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
}

/** How long to wait after the last expected message, since duplicates arrive a little later. */
const stragglersMs = 250;
const pollMs = 10;
const closeMs = 10_000;

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
	#expected = 0;

	constructor(options: GeneratorOptions) {
		this.#options = options;
		const protocol = options.protocol ?? "raw";
		const audience = {
			connections: options.connections,
			senders: options.senders,
			sendersListen: sourceKinds[options.source].sendersListen,
			echoes: protocolKinds[protocol].echoes,
			channels: options.channels,
			nodes: options.targets.length,
		};
		this.#audience = new Audience(audience);
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
			const clients =
				thread === 0
					? this.#audience.senderClients
					: share(options.connections - this.#audience.senderClients, options.receivers, thread - 1);
			const isProcess = thread > 0 && options.receiversAreProcesses === true;
			const { port1, port2 } = new MessageChannel();
			const task: ThreadTask = {
				thread,
				firstClient,
				clients,
				targets: options.targets,
				sourceAddresses: addresses,
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
				return new RemoteThread(port1, runInProcess(join(import.meta.dirname, "thread/process-main.js"), task, this.#progress));
			return new RemoteThread(port1, this.#pool.run(task, { transferList: [port2] }) as Promise<void>);
		});
	}

	/** Connections open now. */
	get open(): number {
		return this.#progress.total(Progress.opened) - this.#progress.total(Progress.ended);
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

	/** Sends one load and waits until everything has arrived, or until nothing more comes. */
	async send({ settleMs, onArrived, ...load }: SendOptions): Promise<SendReport> {
		await Promise.all(this.#threads.map((thread) => thread.call("begin")));
		const cpuBefore = process.cpuUsage();
		const receivedBefore = this.received;
		const expectedBefore = this.#expected;
		const startedMs = performance.now();

		const pace = await this.#threads[0].call("send", load);
		this.#expected = pace.sentBySender.reduce((sum, sent, sender) => sum + sent * this.#audience.listenersOf(sender), 0);
		let lastMs = performance.now();
		for (let last = this.received; last < this.#expected && performance.now() - lastMs < settleMs; ) {
			await sleep(pollMs);
			if (this.received > last) {
				last = this.received;
				lastMs = performance.now();
			}
		}
		onArrived?.();
		const seconds = (lastMs - startedMs) / 1000;
		const cpu = process.cpuUsage(cpuBefore);
		await sleep(stragglersMs);

		const parts = await Promise.all(this.#threads.map((thread) => thread.call("collect", { sentBySender: pace.sentBySender })));
		return {
			sent: pace.sent,
			planned: Math.max(1, Math.round((load.rate * load.durationMs) / 1000)),
			expected: this.#expected - expectedBefore,
			delivery: mergeReports(parts.map((part) => part.delivery)),
			deliveries: this.received - receivedBefore,
			latency: summariseLatency(parts.flatMap((part) => part.latency)),
			nodes: this.#options.targets.map((_, node) => ({
				expected: parts.reduce((sum, part) => sum + part.byNode[node].expected, 0),
				received: parts.reduce((sum, part) => sum + part.byNode[node].received, 0),
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

/** The part of `total` that falls to one of `parts`: differs by one at most. */
function share(total: number, parts: number, part: number): number {
	return Math.floor(total / parts) + (part < total % parts ? 1 : 0);
}

function addUp(parts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
	const total: Record<string, number> = {};
	for (const part of parts) for (const [name, count] of Object.entries(part)) total[name] = (total[name] ?? 0) + count;
	return total;
}

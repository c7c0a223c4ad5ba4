import type { ClusterNodes } from "@shardcast/control";
import type { Span } from "@shardcast/telemetry";
import { MissedRecords } from "../history/missed-records.ts";
import { IngestMemory } from "../ingest-memory.ts";
import type { Observed, OutgoingMessage } from "../ingest-messages.ts";
import type { IngestOptions } from "../ingest-options.ts";
import { incarnationOfOwner, ownerOf, type PositionTable, slotOfOwner } from "../positions/position-table.ts";
import type { PartitionRoles } from "../source.ts";
import { senderText } from "../worker/published-headers.ts";
import { Assignment } from "./assignment/assignment.ts";
import type { ClusterView } from "./assignment/cluster-view.ts";
import { NodeRoles } from "./assignment/node-roles.ts";
import type { Destination } from "./destination.ts";
import type { IngestLog } from "./ingest-log.ts";
import { IngestReader } from "./ingest-reader.ts";
import { IngestStatus, type Troubles } from "./ingest-status.ts";
import { PublishQueue } from "./publish-queue.ts";
import { StallReport } from "./stall-report.ts";
import { WorkerHost, type WorkerMessage } from "./worker-host.ts";

/** What to note of records, and who gets it. */
export interface IngestWatch {
	/** Asked ten times a second. */
	readonly observed: () => Observed;
	readonly traced: (spans: readonly Span[], dropped: number, limited: number) => void;
}

const nothingObserved: Observed = { traceSample: null, waits: false };

interface IngestParts {
	readonly options: IngestOptions;
	readonly slot: number;
	readonly incarnation: number;
	readonly table: PositionTable;
	readonly cluster: ClusterView;
	readonly destination: Destination;
	readonly ringCapacityBytes: number;
	/** Wakes the loop: there are records to read. */
	readonly wake: () => void;
	readonly log: IngestLog;
	/** Called with the current troubles when they have changed. */
	readonly onStatus: (troubles: Troubles) => void;
	/** Whether a guard wants reading to pause. */
	readonly isPaused: () => boolean;
	/** The nodes of the cluster as this one knows them; null = it works alone. */
	readonly nodes: () => Promise<ClusterNodes | null>;
	/** What to note of records, and who gets what was noted. */
	readonly watch?: IngestWatch | undefined;
	/** The worker's compiled module, if this code runs from source. */
	readonly workerEntry?: URL;
}

/** Interval at which assignments are brought up to date. */
const reconcileMs = 100;
/** Delay of the first check whether readers have caught up and a partition can change owner. Doubles for each further check. */
const firstLookMs = 5;
const stallsEveryMs = 1000;
/** How long a stop waits for readers that do not catch up. After that their partitions are taken over when this process has ended. */
const handOverMsMax = 1000;
const unresolvedRetryMs = 1000;

/**
 * Kafka ingest in a shard: hosts the worker, reads its ring, and decides which partitions it reads. **One per shard, on its loop.**
 *
 * If the worker dies, or is killed because a route function does not return, nothing is lost: the ring is read to its end, and the next
 * worker continues from there.
 */
export class Ingest {
	readonly memory: IngestMemory;
	readonly reader: IngestReader;
	readonly assignment: Assignment;
	readonly publishing: PublishQueue;
	/** Reads the records that reconnecting clients have missed. */
	readonly missed: MissedRecords;
	readonly status: IngestStatus;
	readonly #parts: IngestParts;
	readonly #worker: WorkerHost;
	/** Null when this node reads everything itself. */
	readonly #roles: NodeRoles | null;
	readonly #stalls: StallReport;
	#timer: NodeJS.Timeout | null = null;
	#stallsLookedMs = 0;
	#checkMs = firstLookMs;
	#checkPending = false;
	#stopping = false;
	#stopped: Promise<void> | null = null;
	#writesDeadLetters = false;
	/** What the worker notes. */
	#observed = nothingObserved;

	constructor(parts: IngestParts) {
		const { options, slot, incarnation, table, cluster, destination, wake } = parts;
		this.#parts = parts;
		this.memory = IngestMemory.create(table.rowsMax, parts.ringCapacityBytes);
		this.status = new IngestStatus(parts.onStatus);
		this.#stalls = new StallReport({ memory: this.memory, status: this.status, group: options.group, log: parts.log });
		this.assignment = new Assignment({
			...options,
			isNamed: (topic) => options.subscription.names.includes(topic),
			slot,
			incarnation,
			table,
			cluster,
			memory: this.memory,
			send: (message) => this.#worker.send(message),
			onAssign: (partition) => destination.assigned?.(partition),
			onTableFull: (topic, partition) => {
				this.status.begin(
					"partitionLimit",
					`topic ${topic} partition ${partition} is not read; the limit is ${table.rowsMax} partitions: name fewer topics`,
				);
				parts.log.warn({ topic, partition }, "kafka: a partition is not read: the position table is full");
			},
			onTableHeld: (holder, heldMs) =>
				parts.log.warn(
					{ holder, heldMs: Math.round(heldMs) },
					`kafka: new partitions wait: shard ${holder} is paused while it changes the position table; they continue when it does, or when it is restarted`,
				),
		});
		this.reader = new IngestReader({
			memory: this.memory,
			table,
			slot,
			destination,
			wake,
			onRevoked: (row) => {
				this.assignment.revoked(row);
				if (this.assignment.waitsForReaders) this.#checkSoon();
			},
			onReset: (row, position) => this.#reset(row, position),
		});
		this.publishing = new PublishQueue({
			post: (messages) => !this.#worker.replacing && this.#worker.send({ type: "publish", messages }),
			onUnanswered: (count) => this.memory.host.add("publishUnanswered", count),
		});
		this.missed = new MissedRecords({
			...options.recovery,
			send: (request) => !this.#worker.replacing && this.#worker.send({ type: "history", request }),
		});
		const send = (roles: PartitionRoles) => void this.#worker.send({ type: "divide", roles });
		this.#roles = options.relay === null ? null : new NodeRoles({ nodes: parts.nodes, known: () => this.assignment.known, send });
		this.#worker = new WorkerHost({
			options,
			memory: this.memory,
			...(parts.workerEntry !== undefined && { entry: parts.workerEntry }),
			log: parts.log,
			writesDeadLetters: () => this.#writesDeadLetters,
			onMessage: (message) => this.#receive(message),
			onStart: () => {
				this.#roles?.forgetWorker();
				this.publishing.resume();
				this.#observed = nothingObserved;
				this.#observe();
			},
			onReplace: () => this.status.begin("worker"),
			onGone: () => this.#workerGone(),
		});
	}

	start(): void {
		const { brokers } = this.#parts.options.connection;
		this.status.begin(
			"starting",
			`${brokers.join(", ")}; if they do not answer soon, check --kafka-brokers and that this machine can reach them`,
		);
		this.#claimDeadLetters();
		this.#worker.start();
		this.#timer = setInterval(() => this.#reconcile(), reconcileMs);
	}

	/** Makes the worker load the route module again. */
	reloadRoute(): void {
		this.#worker.send({ type: "reloadRoute" });
	}

	/** Call when the live shards may have changed. */
	reconcile(): void {
		this.#reconcile();
	}

	/** Resolves with true when all start positions are set, so that records produced from now on are delivered; with false after the timeout or on stop. */
	async live(timeoutMs: number): Promise<boolean> {
		const deadline = performance.now() + timeoutMs;
		// After a stop the position table may be unmapped.
		while (!this.#stopping && !this.assignment.settled) {
			if (performance.now() > deadline) return false;
			await new Promise((resolve) => setTimeout(resolve, 20));
		}
		return !this.#stopping;
	}

	/**
	 * Stops reading. Resolves when everything read is delivered, committed and handed over. Call while the loop still reads the ring. A second
	 * call waits for the first one, whatever its deadline.
	 */
	stop(deadlineMs: number): Promise<void> {
		this.#stopped ??= this.#stop(deadlineMs);
		return this.#stopped;
	}

	async #stop(deadlineMs: number): Promise<void> {
		this.#stopping = true;
		const deadline = performance.now() + deadlineMs;
		const left = () => Math.max(deadline - performance.now(), 0);
		if (this.#timer !== null) clearInterval(this.#timer);
		this.#worker.endRestarts();
		const worker = this.#worker;
		this.publishing.close();
		if (worker.started) {
			// No worker will answer: tell the publishers now.
			if (worker.replacing) this.publishing.fail("the shard is stopping");
			while (this.publishing.waiting > 0 && left() > 0) await new Promise((resolve) => setTimeout(resolve, 5));
			await within(left(), worker.halt());
			while (!this.reader.empty && left() > 0) {
				this.#parts.wake();
				await new Promise((resolve) => setTimeout(resolve, 1));
			}
			// If time ran out, the next owner delivers the rest. Nothing more may be delivered from here.
			this.reader.stop();
			this.assignment.release();
			const handOverBy = Math.min(performance.now() + handOverMsMax, deadline);
			while (!this.assignment.handedOver() && performance.now() < handOverBy) await new Promise((resolve) => setTimeout(resolve, 1));
			worker.send({ type: "finish" });
			await within(left(), worker.ended);
			await worker.kill();
		}
		this.reader.stop();
		this.publishing.fail("the shard is stopping");
		this.missed.failReads();
	}

	/** @returns false when the queue is full or the ingest is stopping. Otherwise `done` is called once, with null or an error text. */
	publish(message: Omit<OutgoingMessage, "id" | "sender" | "expiresAtMs">, sender: number, done: (error: string | null) => void): boolean {
		const { slot, incarnation, options } = this.#parts;
		return this.publishing.send({ ...message, sender: sender === 0 ? "" : senderText(options.cluster, slot, incarnation, sender) }, done);
	}

	/** Records can wait in Kafka, but clients' messages and pings cannot wait. */
	#obeyGuards(): void {
		const paused = this.#parts.isPaused();
		if (paused === this.memory.paused) return;
		this.memory.setPaused(paused);
		if (paused) this.#parts.log.warn({}, "kafka: reading pauses because a guard acts");
		else this.#parts.log.info({}, "kafka: reading resumes");
	}

	/** Passes on new values of live options. */
	#observe(): void {
		const observed = this.#parts.watch?.observed() ?? nothingObserved;
		if (observed.traceSample === this.#observed.traceSample && observed.waits === this.#observed.waits) return;
		if (this.#worker.send({ type: "observe", observed })) this.#observed = observed;
	}

	/** In shared mode each shard writes the dead letters of the partitions that it owns. */
	#claimDeadLetters(): void {
		const { options, slot, incarnation, table, cluster } = this.#parts;
		if (options.deadLetterTopic === null || this.#writesDeadLetters) return;
		const isGone = (owner: number) => cluster.isGone(slotOfOwner(owner), incarnationOfOwner(owner));
		this.#writesDeadLetters = options.mode === "shared" || table.claimDeadLetters({ self: ownerOf(slot, incarnation), isGone });
		if (this.#writesDeadLetters) this.#worker.send({ type: "writeDeadLetters" });
	}

	/** Settles what the worker left unanswered. Resolves when all that it has read is delivered, or the ingest is stopping. */
	async #workerGone(): Promise<void> {
		this.publishing.fail("the ingest worker was restarted");
		this.missed.failReads();
		while (!this.reader.empty && !this.#stopping) {
			this.#parts.wake();
			await new Promise((resolve) => setTimeout(resolve, 1));
		}
		// `#stop` is running and takes care of the rest.
		if (!this.#stopping) this.assignment.forgetWorker();
	}

	#receive(message: WorkerMessage): void {
		switch (message.type) {
			case "topics":
				this.status.end("worker");
				this.#worker.foundTopics();
				this.assignment.topicsFound(message.list);
				this.#noteStarts();
				break;
			case "resolved":
				this.assignment.resolved(message.partitions);
				break;
			case "epoch":
				this.assignment.epochFound(message.row, message.epoch, message.from);
				break;
			case "unresolved":
				this.#parts.log.warn({ error: message.message }, "kafka: could not find the start positions; trying again");
				setTimeout(() => this.assignment.unresolved(message.rows), unresolvedRetryMs);
				break;
			case "trouble":
				// Without its route module the worker has not contacted the brokers yet, so "they have not answered" would be misleading.
				if (message.kind === "route") this.status.end("starting");
				this.status.begin(message.kind, message.message);
				break;
			case "healed":
				this.status.end(message.kind);
				break;
			case "log":
				this.#parts.log[message.level](message.fields, message.message);
				break;
			case "spans":
				this.#parts.watch?.traced(message.spans, message.dropped, message.limited);
				break;
			case "published":
				for (const id of message.ids) this.publishing.settle(id, message.error);
				break;
			case "history":
				this.missed.answer(message.id, message.parts, message.error);
				break;
			default:
				message satisfies never;
		}
	}

	#reconcile(): void {
		if (!this.#stopping) this.#claimDeadLetters();
		this.#obeyGuards();
		if (this.#worker.replacing || this.#stopping) return;
		this.#observe();
		this.assignment.reconcile();
		this.#roles?.look(performance.now());
		this.#noteStarts();
		this.#checkStalls();
		if (this.assignment.waitsForReaders) this.#checkSoon();
		else this.#checkMs = firstLookMs;
	}

	/** A record produced before its partition's start is known may not be delivered. Health shows this until all starts are known. */
	#noteStarts(): void {
		if (!this.assignment.hasTopics) return;
		const { settled, unsettled } = this.assignment;
		if (settled) this.status.end("positions");
		else this.status.begin("positions", unsettled.map(({ topic, partition }) => `topic ${topic} partition ${partition}`).join(", "));
		this.status.end("starting");
	}

	#checkStalls(): void {
		const nowMs = performance.now();
		if (nowMs - this.#stallsLookedMs < stallsEveryMs) return;
		this.#stallsLookedMs = nowMs;
		this.missed.forgetUnused();
		this.#stalls.report(this.assignment.assigned, nowMs);
	}

	/** Checks again in a few milliseconds, which is what readers need, so that a partition changes owner without a noticeable pause. */
	#checkSoon(): void {
		if (this.#checkPending || this.#checkMs >= reconcileMs) return;
		this.#checkPending = true;
		setTimeout(() => {
			this.#checkPending = false;
			this.#reconcile();
		}, this.#checkMs);
		this.#checkMs *= 2;
	}

	#reset(row: number, position: number): void {
		const { table, slot } = this.#parts;
		// Also in per-shard mode: a restarted shard must not start at the others' former positions, which may be far ahead.
		table.restartAt(row, position);
		table.setDelivered(row, slot, position);
		this.memory.setCell(row, "delivered", position);
	}
}

async function within(timeoutMs: number, promise: Promise<unknown>): Promise<void> {
	let timer: NodeJS.Timeout | undefined;
	const deadline = new Promise((resolve) => {
		timer = setTimeout(resolve, timeoutMs);
	});
	await Promise.race([promise, deadline]);
	clearTimeout(timer);
}

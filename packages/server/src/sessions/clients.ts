import { setTimeout as pause } from "node:timers/promises";
import { closeWithReset } from "@shardcast/native";
import { Deadline, openFiles } from "@shardcast/process";
import { closeAll, lingered } from "../lifecycle/drain.ts";
import type { Feature } from "../lifecycle/feature.ts";
import { inTime } from "../lifecycle/in-time.ts";
import type { LiveConfig } from "../lifecycle/live-config.ts";
import type { ShardOptions } from "../lifecycle/shard-options.ts";
import { Pacing } from "../pacing/pacing.ts";
import type { ClientEvents } from "../webhooks/client-events.ts";
import { Lanes } from "./lanes/lanes.ts";
import { LeavingSessions } from "./leaving-sessions.ts";
import { Sessions, type SessionsParts } from "./sessions.ts";

export interface ClientsParts {
	readonly options: Pick<ShardOptions, "row" | "bus" | "log" | "events">;
	readonly live: LiveConfig;
	readonly check: SessionsParts["check"];
	readonly events: Pick<ClientEvents, "opened" | "closed">;
	/** Resolves when all that was published has been delivered. */
	readonly delivered: () => Promise<void>;
	/** Files that were open before there were any clients. */
	readonly openAtStart: () => number;
}

/** A client that reads slowly is cut if it has not made room for its close frame by then. */
const leavingDeadlineMs = 5000;
/** How long connections may take to end after their last byte was written. */
const lingerMsMax = 250;

/** The clients of the shard, of all protocols: how delivery waits for them, and how they are told to go. */
export class Clients implements Feature {
	readonly name = "clients";
	readonly drainShare = 1;
	readonly sessions: Sessions;
	readonly lanes: Lanes;
	readonly pacing: Pacing;
	readonly #leaving: LeavingSessions;
	readonly #parts: ClientsParts;
	#unread = 0;

	constructor(parts: ClientsParts) {
		const { options, live, check } = parts;
		const { row: counters, bus, log } = options;
		const bufferedBytesMax = () => live.bufferedBytesLeast;
		const nowMs = () => performance.now();
		this.#parts = parts;
		this.#leaving = new LeavingSessions({
			bufferedBytesMax,
			deadlineMs: leavingDeadlineMs,
			nowMs,
			resetting: closeWithReset,
			counters,
		});
		this.lanes = new Lanes({ counters, bufferedBytesMax, soon: setImmediate });
		const ringBytes = bus.capacityBytes;
		this.pacing = new Pacing({
			clients: () => this.sessions.all,
			bufferedBytesMax,
			ringBytes,
			counters,
			nowMs,
			onPublished: (bytes) => this.lanes.published(bytes),
		});
		this.sessions = new Sessions({
			lanes: this.lanes,
			leaving: this.#leaving,
			pacing: this.pacing,
			check,
			counters,
			words: counters,
			events: {
				opened: (session) => {
					live.entered(session);
					options.events?.opened(session);
					parts.events.opened(session);
					if (log.level === "debug") log.debug({ address: session.address }, "client connected");
				},
				closed: (session, code) => {
					live.left(session);
					options.events?.closed(session, code);
					parts.events.closed(session, code);
				},
			},
			soon: setImmediate,
		});
	}

	everySecond(): void {
		this.#leaving.expire();
	}

	/**
	 * Tells them to go, while what those publish that are still here is delivered. Then it waits for their connections to end: one that this
	 * process leaves behind with something unread from its client is reset by the kernel. Those that are still here when the time is over
	 * are reset and counted.
	 */
	async drain(leftMs: number): Promise<void> {
		const { live, delivered, openAtStart } = this.#parts;
		const deadline = new Deadline(leftMs);
		const clock = { nowMs: () => performance.now(), pause };
		await closeAll({
			clients: () => this.sessions.snapshot(),
			close: (client, code) => client.close(code),
			clientsPerSecond: live.config.drainRate,
			deadlineMs: deadline.leftMs(),
			random: Math.random,
			...clock,
		});
		await inTime(delivered(), deadline.leftMs());
		const lingerMs = Math.min(lingerMsMax, deadline.leftMs());
		await lingered(openAtStart(), { deadlineMs: lingerMs, open: () => openFiles() ?? 0, ...clock });
		// Their connections would outlive this process, with all that they did not read.
		const unread = this.sessions.snapshot();
		this.#leaving.cut(unread);
		this.#unread = unread.length;
	}

	/** Clients that did not read what they had to get; their connections have been reset. */
	unfinished(): number {
		return this.#unread;
	}
}

import { setTimeout as pause } from "node:timers/promises";
import { moveClientsQuestion, offloadQuestion, type PartAnswers } from "@shardcast/control";
import { closeWithReset } from "@shardcast/native";
import { Deadline, openFiles, RunningTime } from "@shardcast/process";
import { ShardState } from "@shardcast/scoreboard";
import { closeAll, waitUntilClosed } from "../lifecycle/drain.ts";
import type { Feature } from "../lifecycle/feature.ts";
import type { LiveConfig } from "../lifecycle/live-config.ts";
import type { ShardOptions } from "../lifecycle/shard-options.ts";
import { withinDeadline } from "../lifecycle/within-deadline.ts";
import { Pacing } from "../pacing/pacing.ts";
import type { ClientEvents } from "../webhooks/client-events.ts";
import { Lanes } from "./lanes/lanes.ts";
import { LeavingSessions } from "./leaving-sessions.ts";
import { MovedClients } from "./moved-clients.ts";
import { Offload } from "./offload.ts";
import { Sessions, type SessionsParts } from "./sessions.ts";
import { UnreadLimit } from "./unread-limit.ts";

interface ClientsParts {
	readonly options: Pick<ShardOptions, "board" | "row" | "bus" | "log" | "events">;
	readonly live: LiveConfig;
	readonly check: SessionsParts["check"];
	readonly events: Pick<ClientEvents, "opened" | "closed">;
	/** Resolves when everything that was published has been delivered. */
	readonly delivered: () => Promise<void>;
	/** The number of files that were open before the first client connected. */
	readonly openAtStart: () => number;
}

/** How long a slow client may take to make room for its close frame before its connection is reset. */
const leavingDeadlineMs = 5000;
/** How long a connection may take to close after its last byte was written. */
const lingerMsMax = 250;

const clock = { nowMs: () => performance.now(), pause };

/** All clients of the shard, whatever their protocols. Paces delivery to them and closes them during a drain. */
export class Clients implements Feature {
	readonly name = "clients";
	readonly drainShare = 1;
	readonly sessions: Sessions;
	readonly lanes: Lanes;
	readonly pacing: Pacing;
	readonly unread: UnreadLimit;
	/** Look at it at each heartbeat. */
	readonly running = new RunningTime(clock.nowMs);
	readonly #leaving: LeavingSessions;
	readonly #moved: MovedClients;
	readonly #offload: Offload;
	readonly #parts: ClientsParts;
	#unread = 0;
	#isLeaving = false;

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
		this.lanes = new Lanes({ clients: () => this.sessions.all, counters, bufferedBytesMax, soon: setImmediate, nowMs: this.running.nowMs });
		const ringBytes = bus.capacityBytes;
		this.pacing = new Pacing({
			clients: () => this.sessions.all,
			bufferedBytesMax,
			ringBytes,
			counters,
			// While this process stands still, it cannot see who reads.
			nowMs: this.running.nowMs,
			onPublished: (bytes) => {
				this.lanes.published(bytes);
				if (bytes > 0) this.unread.published();
			},
		});
		this.unread = new UnreadLimit({
			clients: () => this.sessions.all,
			lanes: this.lanes,
			bytesMax: () => live.config.maxBufferedTotalBytes,
			bufferedBytesMax,
			cut: (clients) => this.sessions.cutSlow(clients),
			nowMs: this.running.nowMs,
			counters,
		});
		this.sessions = new Sessions({
			lanes: this.lanes,
			leaving: this.#leaving,
			pacing: this.pacing,
			unread: this.unread,
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
		this.#moved = new MovedClients({
			...{ clients: () => this.sessions.all, ...clock, random: Math.random },
			onError: (error) => log.error({ error }, "could not ask a client to connect again"),
		});
		this.#offload = new Offload({
			...{ clients: () => this.sessions.snapshot(), ...clock, random: Math.random },
			clientsPerSecond: () => live.config.drainRate,
			haveElsewhere: () => options.board.rows().some(({ slot, takesClients }) => slot !== options.row.slot && takesClients),
			onTold: () => counters.add("toldToLeave", 1),
		});
	}

	answers(parts: PartAnswers): void {
		const { slot } = this.#parts.options.row;
		parts.add(moveClientsQuestion, ({ bySlot }) => this.#moved.move(bySlot[slot] ?? 0));
		parts.add(offloadQuestion, ({ on, rate }) => this.#setOffload(on, rate));
	}

	/** Its shard was drained before it was started: it gets no clients. */
	serving(): void {
		if (this.#parts.options.row.isDrained) this.#setOffload(true, null);
	}

	/** @returns the number of clients now. */
	#setOffload(on: boolean, rate: number | null): number {
		const { row, log } = this.#parts.options;
		// The process stops: then there is nothing to turn on or off.
		if (this.#isLeaving) return this.sessions.count;
		row.state = on ? ShardState.draining : ShardState.serving;
		if (!on) this.#offload.stop();
		else this.#offload.start(rate).catch((error: unknown) => log.error({ error }, "could not tell a client to reconnect"));
		return this.sessions.count;
	}

	everySecond(): void {
		this.#leaving.expire();
		this.unread.everySecond();
	}

	/** Closes all clients at once, except those with unwritten messages, which get these first. */
	closeNow(): Promise<void> {
		this.#leave();
		return this.#closeAll(0);
	}

	/**
	 * Closes all clients while messages from those that are still connected are delivered. Then waits for the connections to close: the kernel
	 * resets a connection that the process leaves behind with unread data from its client. Clients that remain at the deadline are reset and
	 * counted.
	 */
	async drain(leftMs: number): Promise<void> {
		const { delivered, openAtStart } = this.#parts;
		const deadline = new Deadline(leftMs);
		this.#leave();
		await this.#closeAll(deadline.leftMs());
		await withinDeadline(delivered(), deadline.leftMs());
		const lingerMs = Math.min(lingerMsMax, deadline.leftMs());
		await waitUntilClosed(openAtStart(), { deadlineMs: lingerMs, open: () => openFiles() ?? 0, ...clock });
		// Otherwise these connections, with all their unread data, would outlive the process.
		const unread = this.sessions.snapshot();
		this.#leaving.cut(unread);
		this.#unread = unread.length;
	}

	#leave(): void {
		this.#isLeaving = true;
		this.#offload.stop();
	}

	#closeAll(deadlineMs: number): Promise<void> {
		return closeAll({
			clients: () => this.sessions.snapshot(),
			close: (client, code) => client.close(code),
			clientsPerSecond: this.#parts.live.config.drainRate,
			deadlineMs,
			random: Math.random,
			...clock,
		});
	}

	/** The number of clients that did not read in time and were reset. */
	unfinished(): number {
		return this.#unread;
	}
}

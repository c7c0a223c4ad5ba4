import type { EventLog } from "@shardcast/control";
import type { Scoreboard } from "@shardcast/scoreboard";

const everyMs = 1000;
/** Minimum interval between events of one kind and shard. Counts in between are added to the next event. */
const quietMs = 10_000;
/** Connections lost since the last check that cause an event: at least this many, and this share of those that were open. */
const stormMin = 20;
const stormShare = 0.1;

/** Counters of a shard whose growth causes an event. */
const watched = [
	["closedSlow", "warn", (count: number) => `closed ${count} clients that read too slowly`],
	[
		"unreadLimited",
		"bad",
		(count: number) => `${count} times, slow clients together reached --max-buffered-total: dropped for them or closed them`,
	],
	["laneGaps", "warn", (count: number) => `ended ${count} subscriptions with 2500 because their clients read too slowly; they recover`],
	["backpressured", "warn", (count: number) => `${count} publishes found the bus full and were held or refused`],
	["closedBusFull", "bad", (count: number) => `closed ${count} clients because the full bus had no room for their messages`],
	["closedRateLimited", "warn", (count: number) => `closed ${count} clients that sent more messages than --message-rate allows`],
	["closedReceiveOnly", "warn", (count: number) => `closed ${count} clients that sent a message though clients only receive`],
	["refused", "warn", (count: number) => `refused ${count} connections: it was full`],
	["handoffErrors", "bad", (count: number) => `lost ${count} connections that were handed over`],
	["handlerErrors", "bad", (count: number) => `${count} messages lost to exceptions in handlers`],
] as const;

interface Seen {
	readonly counts: number[];
	readonly toldMs: number[];
	closedAbnormal: number;
	connections: number;
}

interface BoardWatchOptions {
	/** What events call the processes; "shard". */
	readonly name?: string;
	/** Monotonic. */
	readonly nowMs?: () => number;
}

/**
 * Turns growing counters of the scoreboard into events: slow clients, a full bus, disconnect storms. Reads each shard's row once a second;
 * shards report nothing to it.
 */
export class BoardWatch {
	readonly #board: Scoreboard;
	readonly #log: EventLog;
	readonly #nowMs: () => number;
	/** Of the processes. */
	readonly #name: string;
	readonly #seen = new Map<number, Seen>();
	#refusedBusy: number;
	#refusedToldMs = Number.NEGATIVE_INFINITY;
	#timer: NodeJS.Timeout | undefined;

	constructor(board: Scoreboard, log: EventLog, { name = "shard", nowMs = () => performance.now() }: BoardWatchOptions = {}) {
		this.#board = board;
		this.#log = log;
		this.#nowMs = nowMs;
		this.#name = name;
		this.#refusedBusy = board.balancer.get("refusedBusy");
	}

	start(): void {
		this.#timer = setInterval(() => this.look(), everyMs);
	}

	stop(): void {
		clearInterval(this.#timer);
	}

	/** Call periodically. */
	look(): void {
		const nowMs = this.#nowMs();
		for (const row of this.#board.rows()) {
			const counts = watched.map(([counter]) => row.get(counter));
			const closedAbnormal = row.get("closedAbnormal");
			const seen = this.#seen.get(row.slot);
			if (seen === undefined) {
				this.#seen.set(row.slot, {
					counts,
					toldMs: counts.map(() => Number.NEGATIVE_INFINITY),
					closedAbnormal,
					connections: row.webSockets,
				});
				continue;
			}
			watched.forEach(([, level, sentence], index) => {
				const grown = counts[index]! - seen.counts[index]!;
				if (grown <= 0 || nowMs - seen.toldMs[index]! < quietMs) return;
				this.#log.add(level, `${this.#name} ${row.slot}: ${sentence(grown)}`);
				seen.counts[index] = counts[index]!;
				seen.toldMs[index] = nowMs;
			});
			const lost = closedAbnormal - seen.closedAbnormal;
			if (lost >= stormMin && lost >= seen.connections * stormShare)
				this.#log.add("warn", `${this.#name} ${row.slot}: disconnect storm, ${lost} connections broke within a second`);
			seen.closedAbnormal = closedAbnormal;
			seen.connections = row.webSockets;
		}
		this.#checkBalancer(nowMs);
	}

	#checkBalancer(nowMs: number): void {
		const refused = this.#board.balancer.get("refusedBusy");
		if (refused <= this.#refusedBusy || nowMs - this.#refusedToldMs < quietMs) return;
		this.#log.add("warn", `balancer: refused ${refused - this.#refusedBusy} connections with 503: no ${this.#name} had room`);
		this.#refusedBusy = refused;
		this.#refusedToldMs = nowMs;
	}
}

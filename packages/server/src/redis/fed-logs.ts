import { type ChannelLog, holderOf, LogLayout } from "@shardcast/channel-log";
import { Role, type Scoreboard } from "@shardcast/scoreboard";

interface FedLogsParts {
	readonly log: Pick<ChannelLog, "feeder" | "takeFeed" | "releaseFeeds">;
	readonly board: Pick<Scoreboard, "members">;
	/** This shard. */
	readonly row: { readonly slot: number; readonly incarnation: number };
	/** Monotonic. */
	readonly nowMs: () => number;
}

/** After this time without a feeder, any shard may take a log; before, only the shard whose share it is. */
const anybodyAfterMs = 1000;

/** The logs that this shard feeds. Each has one feeder; the supervisor frees those of a dead shard, once it has been reaped. */
export class FedLogs {
	readonly #parts: FedLogsParts;
	readonly #self: number;
	readonly #freeSinceMs: (number | null)[] = Array.from({ length: LogLayout.logs }, () => null);

	constructor(parts: FedLogsParts) {
		this.#parts = parts;
		this.#self = holderOf(parts.row.slot, parts.row.incarnation);
	}

	isFedHere(log: number): boolean {
		return this.#parts.log.feeder(log) === this.#self;
	}

	/** Call several times a second. */
	tick(): void {
		const { log, board, row, nowMs } = this.#parts;
		const free = this.#freeSinceMs.flatMap((_, index) => (log.feeder(index) === 0 ? [index] : []));
		for (let index = 0; index < this.#freeSinceMs.length; index++) if (!free.includes(index)) this.#freeSinceMs[index] = null;
		if (free.length === 0) return;
		const shards = board.members().filter(({ role }) => role === Role.shard);
		const place = shards.findIndex(({ slot }) => slot === row.slot);
		for (const index of free) {
			this.#freeSinceMs[index] ??= nowMs();
			const isOurs = shards.length === 0 || index % shards.length === place;
			if (isOurs || nowMs() - this.#freeSinceMs[index]! > anybodyAfterMs) log.takeFeed(index);
		}
	}

	/** Releases the logs, so that other shards can feed them. */
	stop(): void {
		this.#parts.log.releaseFeeds();
	}
}

import type { RebalanceOrder } from "@shardcast/control";
import { divideByCount } from "@shardcast/selection";

interface ClientMoverParts {
	readonly id: string;
	/** Connections of this node now, by the slot of their shard. */
	readonly connections: () => ReadonlyMap<number, number>;
	/** Whether a node takes clients, as far as this one knows. */
	readonly takesClients: (id: string) => boolean;
	/** Asks so many clients of each shard to connect again. Resolves with how many were asked. */
	readonly move: (bySlot: Readonly<Record<string, number>>) => Promise<number>;
	readonly tell: (level: "info" | "warn", text: string) => void;
}

interface Move {
	readonly keep: number;
	readonly to: readonly string[];
	readonly rate: number;
	/** Clients that may still be asked. */
	left: number;
	asked: number;
	/** Seconds in a row in which no client could be asked. */
	idle: number;
}

const everyMs = 1000;
/** All clients are in the middle of something for so many seconds: the rest stays. */
const idleMax = 10;

/**
 * Moves clients away from this node, some each second, until it has as many as it should keep. It asks no more clients than it had too many at the
 * start: those that come back here are not asked forever. One owner; one move at a time.
 */
export class ClientMover {
	readonly #parts: ClientMoverParts;
	readonly #counts = { moves: 0, clients: 0 };
	#move: Move | null = null;
	#timer: NodeJS.Timeout | undefined;

	constructor(parts: ClientMoverParts) {
		this.#parts = parts;
	}

	/** Moves that were started, and clients that were asked to connect again, since the start. */
	get counts(): { readonly moves: number; readonly clients: number } {
		return this.#counts;
	}

	/** Clients that are still to be asked. */
	get pending(): number {
		return this.#move?.left ?? 0;
	}

	/** Connections of this node now. */
	get total(): number {
		let total = 0;
		for (const count of this.#parts.connections().values()) total += count;
		return total;
	}

	/** Starts at once, and replaces a move in progress. Returns how many clients will be asked. */
	start({ keep, to, rate }: RebalanceOrder): number {
		this.stop();
		const { id } = this.#parts;
		// An id may be the name of a method.
		if (!Object.hasOwn(keep, id)) return 0;
		const kept = keep[id];
		const left = Math.max(0, this.total - kept);
		if (left === 0) return 0;
		this.#counts.moves++;
		this.#move = { keep: kept, to, rate, left, asked: 0, idle: 0 };
		this.#parts.tell("info", `rebalance: ${left} clients are asked to connect again, ${rate} per second, so that ${kept} stay here`);
		void this.#step(this.#move);
		return left;
	}

	/** Ends the move in progress. */
	stop(): void {
		clearTimeout(this.#timer);
		this.#move = null;
	}

	async #step(move: Move): Promise<void> {
		const { connections, takesClients, move: ask, tell } = this.#parts;
		const count = Math.min(move.rate, move.left, this.total - move.keep);
		if (count <= 0) return this.#end(move, "done");
		if (!move.to.some(takesClients)) return this.#end(move, "no other node takes clients now");
		try {
			const shards = [...connections()];
			const shares = divideByCount(
				count,
				shards.map(([, clients]) => clients),
			);
			const asked = await ask(Object.fromEntries(shards.map(([slot], at) => [slot, shares[at]!])));
			move.left -= asked;
			move.asked += asked;
			this.#counts.clients += asked;
			move.idle = asked === 0 ? move.idle + 1 : 0;
		} catch (error) {
			// A shard that does not answer may have asked its clients.
			move.left -= count;
			tell("warn", `rebalance: ${(error as Error).message}`);
		}
		if (this.#move !== move) return;
		if (move.idle >= idleMax) return this.#end(move, "the other clients are in the middle of something");
		if (move.left <= 0) return this.#end(move, "done");
		this.#timer = setTimeout(() => void this.#step(move), everyMs);
	}

	#end(move: Move, why: string): void {
		if (this.#move !== move) return;
		this.#move = null;
		this.#parts.tell("info", `rebalance: ${move.asked} clients were asked to connect again; ${why}`);
	}
}

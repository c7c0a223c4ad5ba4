import { anonymousBytes } from "@shardcast/testkit";

/** Two readings that differ by less are the same: 16 B for each of 4,000 connections. */
const settledBytes = 64 * 1024;
const collectionsMax = 10;

/** Memory of the shards alone: the supervisor and the balancer hold nothing for a client, but give back memory of their start at any time. */
export class ShardMemory {
	readonly #pids: readonly number[];
	readonly #collect: (pids: readonly number[]) => Promise<void>;
	readonly #bytesOf: (pid: number) => number;

	/** @param collect collects all garbage of these processes, and resolves when that is done. */
	constructor(
		processes: readonly { readonly name: string; readonly pid: number }[],
		collect: (pids: readonly number[]) => Promise<void>,
		bytesOf = anonymousBytes,
	) {
		this.#pids = processes.filter(({ name }) => name.startsWith("shard ")).map(({ pid }) => pid);
		this.#collect = collect;
		this.#bytesOf = bytesOf;
	}

	/** As it stands, garbage included. */
	bytes(): number {
		return this.#pids.reduce((sum, pid) => sum + this.#bytesOf(pid), 0);
	}

	/** Without garbage. @throws when it still changes after ten collections: then the difference of two readings means nothing. */
	async collectedBytes(): Promise<number> {
		let last = Number.POSITIVE_INFINITY;
		let changeBytes = 0;
		for (let collections = 0; collections < collectionsMax; collections++) {
			await this.#collect(this.#pids);
			const now = this.bytes();
			changeBytes = Math.abs(now - last);
			if (changeBytes < settledBytes) return now;
			last = now;
		}
		throw new Error(
			`the shards' memory still changed by ${Math.round(changeBytes / 1024)} KiB in the last of ${collectionsMax} collections`,
		);
	}
}

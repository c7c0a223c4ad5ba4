import type { Log } from "@shardcast/telemetry";
import { OperationRefused } from "./operation.ts";

interface RebalanceAfterCrashParts {
	/** `--rebalance-shards`; read each time. */
	readonly isOn: () => boolean;
	readonly isServing: (slot: number) => boolean;
	readonly rebalance: () => Promise<unknown>;
	readonly log: Pick<Log, "warn">;
}

/** A shard that dies again within this time gets no clients of others. */
const stableMs = 10_000;

/**
 * Moves clients back to a shard that has crashed, once its new process has served for a while: the others have all clients then, and it has none. One per
 * supervisor. Bound: one timer for all shards.
 */
export class RebalanceAfterCrash {
	readonly #parts: RebalanceAfterCrashParts;
	/** Shards that have died, and have not been balanced since. */
	readonly #died = new Set<number>();
	#timer: NodeJS.Timeout | undefined;

	constructor(parts: RebalanceAfterCrashParts) {
		this.#parts = parts;
	}

	died(slot: number): void {
		this.#died.add(slot);
	}

	/** The last one to come back decides when. */
	serves(slot: number): void {
		if (!this.#died.has(slot)) return;
		clearTimeout(this.#timer);
		this.#timer = setTimeout(() => void this.#balance(), stableMs);
	}

	stop(): void {
		clearTimeout(this.#timer);
		this.#died.clear();
	}

	async #balance(): Promise<void> {
		const { isOn, isServing, rebalance, log } = this.#parts;
		// One that is down again is waited for again when it is back.
		const back = [...this.#died].filter(isServing);
		if (back.length === 0) return;
		for (const slot of back) this.#died.delete(slot);
		if (!isOn()) return;
		try {
			await rebalance();
		} catch (error) {
			// Another operation goes first: what people have ordered may concern the same shards.
			if (error instanceof OperationRefused && error.code === "busy") {
				for (const slot of back) this.#died.add(slot);
				this.#timer = setTimeout(() => void this.#balance(), stableMs);
			} else log.warn(`no rebalance after the crash: ${(error as Error).message}`);
		}
	}
}

import type { ClusterNode, ScaleEvent } from "@shardcast/control";
import type { Redis } from "@shardcast/redis";
import type { NodeKeys } from "../node-keys.ts";
import { scaleScript } from "./scale-script.ts";
import { loadOf, type ScaleRules, ScaleWatch } from "./scale-watch.ts";

interface ScaleEventsParts {
	readonly redis: Pick<Redis, "run">;
	readonly keys: Pick<NodeKeys, "scale" | "events">;
	readonly id: string;
	readonly rules: ScaleRules;
	/** Called on the node that has announced it, and on no other. */
	readonly onEvent: (event: ScaleEvent) => void;
	readonly nowMs?: () => number;
}

/** Somebody may have missed it: while the load stays there, it is announced again after this time, or as many hold times. */
const repeatMsMin = 3_600_000;
const repeatHolds = 2;

/**
 * Announces once per cluster that it should grow or shrink. Every node watches the load of all; Redis decides which one announces it. If Redis does not
 * answer, the next hold time tries again. One owner.
 */
export class ScaleEvents {
	readonly #parts: ScaleEventsParts;
	readonly #watch: ScaleWatch;
	readonly #nowMs: () => number;
	readonly #counts = { scaleUp: 0, scaleDown: 0, failed: 0 };

	constructor(parts: ScaleEventsParts) {
		this.#parts = parts;
		this.#watch = new ScaleWatch(parts.rules);
		this.#nowMs = parts.nowMs ?? (() => performance.now());
	}

	/** Events that this node has announced, and attempts that failed, since the start. */
	get counts(): { readonly scaleUp: number; readonly scaleDown: number; readonly failed: number } {
		return this.#counts;
	}

	/** Call when this node is no member any more: it does not know the load of the others until it is back. */
	interrupted(): void {
		this.#watch.interrupted();
	}

	/** Call after each heartbeat, with all nodes. */
	async look(nodes: readonly ClusterNode[]): Promise<void> {
		const found = this.#watch.look(nodes, this.#nowMs());
		if (found === null) return;
		const { redis, keys, id, rules, onEvent } = this.#parts;
		const { holdMs } = rules;
		const load = loadOf(nodes);
		const event = { type: found, node: id, ...load };
		const repeatMs = Math.max(repeatMsMin, repeatHolds * holdMs);
		const args = [found, String(load.nodes), String(holdMs), keys.events, JSON.stringify(event), String(repeatMs)];
		try {
			const at = Number(await redis.run(scaleScript, [keys.scale], args));
			if (found === "calm" || at === 0) return;
			this.#counts[found]++;
			onEvent({ ...event, type: found, at });
		} catch {
			// Redis cannot be reached; the node's state says so.
			this.#counts.failed++;
		}
	}
}

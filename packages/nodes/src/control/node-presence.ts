import { withDeadline } from "@shardcast/process";
import type { Redis } from "@shardcast/redis";
import type { NodeKeys } from "../node-keys.ts";
import type { NodeRecord } from "../node-record.ts";
import { awayIn, connectedCommand } from "./connected.ts";

interface NodePresenceParts {
	readonly redis: Pick<Redis, "send" | "state">;
	readonly keys: Pick<NodeKeys, "control" | "answers">;
	/** The other nodes, as last known. */
	readonly others: () => readonly Pick<NodeRecord, "id" | "instance">[];
	readonly nowMs?: () => number;
}

/** Redis is not asked again before. */
const freshMs = 500;
/** A look takes no longer; its result counts for the next one. */
const waitMsMax = 200;

/**
 * Which other nodes have lost their connection to Redis. Each node's process listens on a channel for answers, and Redis closes the connection of a killed
 * process at once, long before its entry expires. A machine without power or network stays connected until then. Redis is asked when somebody wants to
 * know, and at each heartbeat. One owner.
 */
export class NodePresence {
	readonly #parts: NodePresenceParts;
	readonly #nowMs: () => number;
	#away: ReadonlySet<string> = new Set();
	#askedMs = Number.NEGATIVE_INFINITY;
	#looking: Promise<void> | null = null;

	constructor(parts: NodePresenceParts) {
		this.#parts = parts;
		this.#nowMs = parts.nowMs ?? (() => performance.now());
	}

	/** Instances without a connection, as of the last look. While Redis cannot be reached, none. */
	get away(): ReadonlySet<string> {
		return this.#away;
	}

	/** Looks unless it has just been done. Never rejects. */
	async look(): Promise<void> {
		if (this.#looking === null) {
			if (this.#nowMs() - this.#askedMs < freshMs) return;
			this.#askedMs = this.#nowMs();
			this.#looking = this.#ask().finally(() => {
				this.#looking = null;
			});
		}
		await withDeadline(this.#looking, waitMsMax, "asking Redis").catch(() => undefined);
	}

	async #ask(): Promise<void> {
		const { redis, keys, others } = this.#parts;
		const instances = others().map(({ instance }) => instance);
		if (redis.state !== "ready" || instances.length === 0) {
			this.#away = new Set();
			return;
		}
		const { key, args } = connectedCommand(keys, instances);
		try {
			this.#away = awayIn(await redis.send(key, args), keys, instances);
		} catch {
			// Redis cannot be reached, or may not be asked: then only heartbeats count.
			this.#away = new Set();
		}
	}
}

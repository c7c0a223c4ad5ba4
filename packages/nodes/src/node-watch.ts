import type { Config } from "@shardcast/config";
import type { ClusterNode } from "@shardcast/control";
import { Redis } from "@shardcast/redis";
import type { Log } from "@shardcast/telemetry";
import { nodesMax } from "./membership-scripts.ts";
import type { NodeKeys } from "./node-keys.ts";
import { publicNode } from "./node-record.ts";
import { readNodeEvent, readNodes } from "./read-nodes.ts";
import { nodeKeysOf, redisOptionsOf } from "./redis-from-config.ts";

interface NodeWatchParts {
	/** With an address of Redis. */
	readonly config: Config;
	/** Name of the connection in Redis, such as "shardcast:edge". */
	readonly clientName: string;
	readonly log: Pick<Log, "info" | "warn">;
	/** The nodes or their figures may have changed. */
	readonly onLook: () => void;
}

const lookEveryMs = 1000;
/** Several events within this time cause one look. */
const lookSoonMs = 20;

/** A node as last seen, and since when it is missing. */
interface Seen {
	node: ClusterNode;
	/** By `performance.now()`; Infinity = it is there. */
	missingSinceMs: number;
}

/**
 * The nodes in Redis, for a program that is none of them. A node that was stopped is gone at once. One whose entry is missing is kept for one more node
 * timeout, because Redis may have lost its data; whoever uses it must find out whether it answers. While Redis cannot be reached, the last known
 * nodes stay. One owner.
 */
export class NodeWatch {
	readonly redis: Redis;
	readonly #parts: NodeWatchParts;
	readonly #keys: NodeKeys;
	readonly #seen = new Map<string, Seen>();
	/** Nodes whose end was announced, until a look that began after that. */
	readonly #stopped = new Set<string>();
	#hasLooked = false;
	#looking = false;
	#lookAgain = false;
	#timer: NodeJS.Timeout | undefined;
	#soon: NodeJS.Timeout | undefined;

	/** @throws when a certificate for Redis cannot be read. */
	constructor(parts: NodeWatchParts) {
		this.#parts = parts;
		const { config } = parts;
		this.redis = new Redis(redisOptionsOf(config, parts.clientName)!, parts.log);
		this.#keys = nodeKeysOf(config);
	}

	/** Redis has told at least once which nodes there are. */
	get hasLooked(): boolean {
		return this.#hasLooked;
	}

	get nodes(): readonly ClusterNode[] {
		return [...this.#seen.values()].map(({ node }) => node);
	}

	/** Connects. It keeps trying in the background until `close`. */
	start(): void {
		this.redis.open();
		this.redis.onRestored(() => void this.#look());
		// If it fails, it is retried when Redis can be reached; until then the regular looks notice changes.
		this.redis.subscribe(this.#keys.events, (message) => this.#onEvent(message)).catch(() => undefined);
		this.#timer = setInterval(() => void this.#look(), lookEveryMs);
	}

	close(): void {
		clearInterval(this.#timer);
		clearTimeout(this.#soon);
		this.redis.close();
	}

	#onEvent(message: Buffer): void {
		const { type, node, reason } = readNodeEvent(message) ?? {};
		if (type === "left" && reason === "stopped" && this.#seen.has(String(node))) this.#stopped.add(String(node));
		this.#soon ??= setTimeout(() => {
			this.#soon = undefined;
			void this.#look();
		}, lookSoonMs);
	}

	async #look(): Promise<void> {
		if (this.#looking) {
			this.#lookAgain = true;
			return;
		}
		this.#looking = true;
		try {
			do {
				this.#lookAgain = false;
				await this.#lookOnce();
			} while (this.#lookAgain);
		} catch {
			// Redis cannot be reached, and says so itself.
		} finally {
			this.#looking = false;
		}
	}

	async #lookOnce(): Promise<void> {
		const { redis } = this;
		if (redis.state !== "ready") return;
		// Those of which it hears from now on may still be among the entries.
		const stopped = [...this.#stopped];
		const ids = (await redis.send(this.#keys.nodes, ["ZRANGE", this.#keys.nodes, "0", String(nodesMax - 1)])) as readonly string[];
		const there = await readNodes(redis, this.#keys, ids);
		const nowMs = performance.now();
		for (const record of there) this.#seen.set(record.id, { node: publicNode(record), missingSinceMs: Number.POSITIVE_INFINITY });
		const present = new Set(there.map(({ id }) => id));
		for (const [id, seen] of this.#seen) {
			if (present.has(id)) continue;
			seen.missingSinceMs = Math.min(seen.missingSinceMs, nowMs);
			if (this.#stopped.has(id) || nowMs - seen.missingSinceMs >= this.#parts.config.nodeTimeoutMs) this.#seen.delete(id);
		}
		for (const id of stopped) this.#stopped.delete(id);
		this.#hasLooked = true;
		this.#parts.onLook();
	}
}

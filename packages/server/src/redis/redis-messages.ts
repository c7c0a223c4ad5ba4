import { isUtf8 } from "node:buffer";
import { redisMessageMetrics } from "@shardcast/control";
import type { Log, ProcessMetrics } from "@shardcast/telemetry";
import type { PublishResult } from "@shardcast/wire";
import type { Incoming } from "../delivery/incoming/incoming.ts";
import { ApiCall, ApiRequest } from "../http/api/api-call.ts";
import { ApiCommands } from "../http/api/api-commands.ts";
import { directMethods } from "../http/api/direct-methods.ts";
import { pipeline } from "../http/api/pipeline.ts";
import { publishMethods } from "../http/api/publish-methods.ts";
import { ApiKey } from "../http/api-keys.ts";
import type { PublishingParts } from "../http/publishing.ts";
import type { Feature } from "../lifecycle/feature.ts";
import { InProgress } from "../lifecycle/in-progress.ts";
import { withinDeadline } from "../lifecycle/within-deadline.ts";

interface RedisMessagesParts extends Omit<PublishingParts, "rate"> {
	readonly incoming: Pick<Incoming, "publish" | "direct">;
	/** Whether Redis orders this channel for all nodes. */
	readonly isShared: (channel: string) => boolean;
	/** Longest message. */
	readonly bytesMax: number;
	readonly log: Pick<Log, "warn">;
}

/** Messages in progress; more are dropped. */
const inProgressMax = 256;
/** Minimum interval between lines in the log about refused messages. */
const warnEveryMs = 60_000;
const needsKey: PublishResult = {
	outcome: "invalid",
	detail: "a channel with history needs an idempotency_key here: each node publishes the message, and Redis recognizes it by this key",
};

/**
 * Takes what backends publish to a pub/sub channel of Redis: commands as for `POST /api`, one per line, such as
 * `{"method":"publish","params":{…}}`. Every node gets each message and delivers it to its own clients only. Every node also publishes a message
 * for a channel with history, with the same idempotency key: so it is in the history once, and the death of a node loses nothing.
 * **One shard per node takes them.** At most once, like pub/sub. Bound: 256 in progress; further ones are dropped and counted.
 */
export class RedisMessages implements Feature {
	readonly name = "messages from redis";
	readonly counts = { accepted: 0, refused: 0, unreadable: 0, tooLong: 0, busy: 0 };
	readonly #parts: RedisMessagesParts;
	readonly #commands: ApiCommands;
	readonly #inProgress = new InProgress();
	#warnedMs = Number.NEGATIVE_INFINITY;

	constructor(parts: RedisMessagesParts) {
		this.#parts = parts;
		const publish: Incoming["publish"] = (kind, channels, payload, from, _source, details) => {
			if (details?.idempotencyKey === undefined && details?.skipHistory !== true && channels.names.some(parts.isShared)) return needsKey;
			return parts.incoming.publish(kind, channels, payload, from, "redis", { ...details, nodeOnly: true });
		};
		const rate = { take: () => true };
		const methods = {
			...publishMethods({ ...parts, incoming: { publish }, rate }),
			...directMethods({ ...parts, rate, nodeOnly: true }),
		};
		this.#commands = new ApiCommands({ methods, onTooLong: () => {} });
	}

	measures(metrics: Pick<ProcessMetrics, "addReading">): void {
		metrics.addReading(redisMessageMetrics, () => this.counts);
	}

	/** Takes a message. Those of one publisher keep their order. */
	readonly take = (message: Buffer): void => {
		const { bytesMax } = this.#parts;
		if (message.length > bytesMax) {
			this.counts.tooLong++;
			this.#warn(() => `it has ${message.length} bytes; the most is ${bytesMax}`);
			return;
		}
		if (this.#inProgress.count >= inProgressMax) {
			this.counts.busy++;
			return;
		}
		this.#inProgress.begin();
		void this.#take(message).finally(() => this.#inProgress.end());
	};

	/** Messages that still arrive are delivered, too: no other shard of this node takes them before this one has stopped. */
	drain(leftMs: number): Promise<void> {
		return withinDeadline(this.#inProgress.whenNone(), leftMs);
	}

	unfinished(): number {
		return this.#inProgress.count;
	}

	async #take(message: Buffer): Promise<void> {
		try {
			if (!isUtf8(message)) throw new Error("it is not UTF-8");
			const replies = await pipeline(this.#commands, new ApiCall(new ApiRequest(new ApiKey("redis"), { address: "redis" }), message));
			for (const reply of replies.split("\n")) {
				// Of a broadcast, too; names of channels are in no reply.
				const isRefused = reply.includes('"error":{"code":');
				this.counts[isRefused ? "refused" : "accepted"]++;
				if (isRefused) this.#warn(() => reasonIn(reply));
			}
		} catch (error) {
			this.counts.unreadable++;
			this.#warn(() => (error as Error).message);
		}
	}

	#warn(why: () => string): void {
		const nowMs = performance.now();
		if (nowMs - this.#warnedMs < warnEveryMs) return;
		this.#warnedMs = nowMs;
		this.#parts.log.warn(`a message that was published to Redis was not delivered: ${why().slice(0, 300)}`);
	}
}

/** Why a command was refused, from its reply; of a broadcast, the first reason. */
function reasonIn(reply: string): string {
	const error = /"error":(\{"code":\d+,"message":"(?:[^"\\]|\\.)*"\})/.exec(reply)?.[1];
	if (error === undefined) return reply;
	const { code, message } = JSON.parse(error) as { readonly code: number; readonly message: string };
	return `error ${code}: ${message}`;
}

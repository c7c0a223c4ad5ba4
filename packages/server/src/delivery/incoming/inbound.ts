import type { ChannelLog } from "@shardcast/channel-log";
import type { Namespaces } from "@shardcast/channels";
import { incarnationId } from "@shardcast/wire";
import type { DurableChannels } from "../../durable/durable-channels.ts";
import type { Feature } from "../../lifecycle/feature.ts";
import type { ShardOptions } from "../../lifecycle/shard-options.ts";
import { withinDeadline } from "../../lifecycle/within-deadline.ts";
import type { RedisChannels } from "../../redis/redis-channels.ts";
import type { PublishTracing } from "../../tracing/request-span.ts";
import { ChannelRouter } from "../publishing/channel-router.ts";
import { type HeldPublication, HistoryPublisher } from "../publishing/history-publisher.ts";
import { Publisher } from "../publishing/publisher.ts";
import { CheckedSink } from "./checked-sink.ts";
import { Handlers } from "./handlers.ts";
import { HeldFrames } from "./held-frames.ts";
import { Incoming } from "./incoming.ts";

interface InboundParts {
	readonly options: Pick<ShardOptions, "config" | "row" | "bus" | "ingest" | "log" | "handlerDeadlineMs">;
	readonly live: { readonly namespaces: Namespaces };
	/** The channels' logs. */
	readonly history: Pick<ChannelLog, "publish" | "once">;
	/** Absent without durable channels. */
	readonly durable?: DurableChannels | null;
	/** Absent without other machines. */
	readonly redis?: Pick<RedisChannels, "has" | "publish" | "relay"> | null;
	/** Absent = messages are not traced. */
	readonly tracing?: PublishTracing | null;
	/** Called after each record written to the ring. */
	readonly onCommit: () => void;
	/** Called when a message finds no room. */
	readonly hurry: () => void;
	/** Called after each record with high priority. */
	readonly onUrgent: () => void;
}

/** Limits for client messages held while the ring is full. uWebSockets.js reads about 5 MB from a socket at once, so a client's share is a few such reads. */
const heldLimits = { bytesMax: 64 * 1024 * 1024, clientBytesMax: 16 * 1024 * 1024 };
/** Limits for messages whose handlers wait, chosen for the same reason. */
const waitingLimits = { bytesMax: 64 * 1024 * 1024, senderBytesMax: 16 * 1024 * 1024, senderMessagesMax: 4096 };
/** Default time limit for handlers. */
export const defaultHandlerDeadlineMs = 10_000;

/** The way in for messages: through the handlers to the ring or to Kafka, including those that wait. */
export class Inbound implements Feature {
	readonly name = "messages";
	readonly incoming: Incoming;
	readonly #publisher: Publisher;
	readonly handlers: Handlers;
	readonly #history: HistoryPublisher;
	readonly #held = new HeldFrames(heldLimits);
	readonly #heldForLogs = new HeldFrames<HeldPublication>(heldLimits);

	constructor({ options, live, history, durable = null, redis = null, tracing = null, onCommit, hurry, onUrgent }: InboundParts) {
		const { config, row, bus, ingest, log } = options;
		this.#publisher = new Publisher({ ring: bus, held: this.#held, counters: row, onCommit, hurry, onUrgent, relay: redis?.relay });
		this.#history = new HistoryPublisher({
			log: history,
			plain: this.#publisher,
			held: this.#heldForLogs,
			counters: row,
			life: incarnationId(bus.member, row.incarnation),
			// The next turn retries them.
			onHeld: onCommit,
		});
		const router = new ChannelRouter({
			plain: this.#publisher,
			history: {
				publish: (kind, sender, channels, payload, limits, hold, details) => {
					const [name] = channels.names as [string];
					if (limits !== null && durable?.has(name)) return durable.publish(kind, sender, name, payload, limits, details);
					if (limits !== null && redis?.has(name)) return redis.publish(kind, sender, name, payload, limits, details);
					return this.#history.publish(kind, sender, channels, payload, limits, hold, details);
				},
			},
			limitsOf: (channel) => live.namespaces.of(channel).history,
		});
		this.handlers = new Handlers({
			counters: row,
			payloadBytesMax: config.maxPayloadBytes,
			deadlineMs: options.handlerDeadlineMs ?? defaultHandlerDeadlineMs,
			limits: waitingLimits,
			onError: (error) => log.debug({ error }, "a handler failed; its message is lost"),
		});
		const publisher = new CheckedSink(ingest?.publisher ?? router, () => live.namespaces);
		this.incoming = new Incoming({ publisher, announcer: this.#publisher, handlers: this.handlers, tracing });
	}

	/** Waits for handlers with messages. */
	drain(leftMs: number): Promise<void> {
		return withinDeadline(this.handlers.whenNone(), leftMs);
	}

	/** Number of messages that wait for a handler. */
	unfinished(): number {
		return this.handlers.waiting;
	}

	/** Number of messages that wait for room in the ring, or for a log. */
	get held(): number {
		return this.#held.count + this.#heldForLogs.count;
	}

	/** Retries held messages. */
	retry(): void {
		this.#publisher.retry();
		this.#history.retry();
	}
}

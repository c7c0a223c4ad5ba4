import type { Config } from "@shardcast/config";
import { RateLimit } from "@shardcast/limits";
import type { BoardRow } from "@shardcast/scoreboard";
import type { Feature } from "../lifecycle/feature.ts";
import { inTime } from "../lifecycle/in-time.ts";
import type { LiveSettings } from "../lifecycle/live-settings.ts";
import type { ShardOptions } from "../lifecycle/shard-options.ts";
import type { RawSession } from "../sessions/raw/raw-session.ts";
import { SenderIds } from "../sessions/raw/sender-ids.ts";
import { Handlers } from "./handlers.ts";
import { HeldFrames } from "./held-frames.ts";
import { Incoming } from "./incoming.ts";
import { Publisher } from "./publisher.ts";

export interface InboundParts {
	readonly options: Pick<ShardOptions, "config" | "row" | "bus" | "ingest" | "log" | "handlerDeadlineMs">;
	readonly live: LiveSettings;
	/** Called after each record that is in the ring. */
	readonly onCommit: () => void;
	/** Called when a message found no room. */
	readonly onFull: () => void;
}

/**
 * Client messages held for a full ring. uWebSockets.js reads some 5 MB from one socket before the loop goes on, so that a client's
 * share is a few such gulps.
 */
const heldLimits = { bytesMax: 64 * 1024 * 1024, clientBytesMax: 16 * 1024 * 1024 };
/** Messages whose handlers wait, for the same reason. */
const waitingLimits = { bytesMax: 64 * 1024 * 1024, senderBytesMax: 16 * 1024 * 1024 };
const handlerDeadlineMs = 10_000;

/** Messages on their way in: rate, handlers, the ring or Kafka, and those that wait for room. */
export class Inbound implements Feature {
	readonly name = "messages";
	readonly incoming: Incoming;
	readonly #publisher: Publisher;
	readonly handlers: Handlers;
	readonly senders = new SenderIds<RawSession>();
	readonly #held = new HeldFrames(heldLimits);
	readonly #rate: RateLimit<RawSession>;
	readonly #row: BoardRow;

	constructor({ options, live, onCommit, onFull }: InboundParts) {
		const { config, row, bus, ingest, log } = options;
		this.#row = row;
		this.#rate = new RateLimit(config.messageRate, row.connectionsMax);
		this.#publisher = new Publisher({ ring: bus, held: this.#held, counters: row, onCommit, onFull });
		this.handlers = new Handlers({
			counters: row,
			payloadBytesMax: config.maxPayloadBytes,
			deadlineMs: options.handlerDeadlineMs ?? handlerDeadlineMs,
			limits: waitingLimits,
			onError: (error) => log.debug({ error }, "a handler failed; its message is lost"),
		});
		this.incoming = new Incoming({
			senders: this.senders,
			publisher: ingest?.publisher ?? this.#publisher,
			handlers: this.handlers,
			rate: this.#rate,
			counters: row,
			payloadBytesMax: config.maxPayloadBytes,
			get clientsMayPublish() {
				return live.mayPublish.webSocket === "everyone";
			},
			nowMs: () => performance.now(),
		});
	}

	reload(config: Config): void {
		this.#rate.perSecond = config.messageRate;
		this.#rate.clientsMax = this.#row.connectionsMax;
	}

	/** Waits for handlers that have messages. */
	drain(leftMs: number): Promise<void> {
		return inTime(this.handlers.whenNone(), leftMs);
	}

	/** Messages that wait for a handler. */
	unfinished(): number {
		return this.handlers.waiting;
	}

	/** Messages that wait for room in the ring. */
	get held(): number {
		return this.#held.count;
	}

	/** Gives them another try. */
	retry(): void {
		this.#publisher.retry();
	}
}

import type { MessageDetails, MessageSink } from "@shardcast/bus";
import type { Counters } from "@shardcast/scoreboard";
import { type ChannelList, type Publishing, type PublishResult, publishAccepted, publishFull, type RecordKind } from "@shardcast/wire";
import type { Ingest } from "./host/ingest.ts";

const notCarried: PublishResult = {
	outcome: "invalid",
	detail: "with --publish-via kafka, messages have neither tags nor an idempotency key",
};

/**
 * Writes messages from clients and HTTP callers to Kafka. They return to every shard of every node like any other record. If Kafka does
 * not acknowledge a message, an HTTP caller gets an error and a WebSocket is closed with 1013.
 *
 * **On the shard's loop.** Bound: that of PublishQueue; beyond it a message is refused.
 */
export class KafkaPublisher implements MessageSink {
	readonly #ingest: () => Pick<Ingest, "publish"> | null;
	readonly #counters: Pick<Counters, "add">;

	constructor(ingest: () => Pick<Ingest, "publish"> | null, counters: Pick<Counters, "add">) {
		this.#ingest = ingest;
		this.#counters = counters;
	}

	publish(kind: RecordKind, sender: number, channels: ChannelList, payload: Uint8Array, details?: MessageDetails): Publishing {
		if (details?.idempotencyKey !== undefined || details?.tags !== undefined) return notCarried;
		let settle!: (result: PublishResult) => void;
		const settled = new Promise<PublishResult>((resolve) => {
			settle = resolve;
		});
		const message = { kind, channels: channels.names, payload, urgent: details?.urgent === true, trace: details?.trace };
		const taken = this.#ingest()?.publish(message, sender, (error) =>
			settle(error === null ? publishAccepted : { outcome: "unacknowledged", detail: error }),
		);
		if (taken !== true) {
			this.#counters.add("backpressured", 1);
			return publishFull;
		}
		this.#counters.add("messagesIn", 1);
		this.#counters.add("bytesIn", payload.length);
		return settled;
	}

	/** Never holds a message: one that has no room is refused. */
	publishOrHold(kind: RecordKind, sender: number, channels: ChannelList, payload: Uint8Array, details?: MessageDetails): Publishing {
		return this.publish(kind, sender, channels, payload, details);
	}
}

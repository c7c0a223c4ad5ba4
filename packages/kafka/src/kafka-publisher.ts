import type { MessageSink, Settled } from "@shardcast/bus";
import type { Counters } from "@shardcast/scoreboard";
import type { ChannelList, RecordKind } from "@shardcast/wire";
import type { Ingest } from "./host/ingest.ts";

/**
 * Sends messages of clients and of HTTP to Kafka, from where they come back to every shard of every node as any other record. What
 * Kafka has not acknowledged is lost to its sender: an HTTP caller gets the error, a WebSocket is closed with 1013.
 *
 * One owner, the shard's loop. Bound: that of PublishQueue; beyond it a message is refused.
 */
export class KafkaPublisher implements MessageSink {
	readonly answersLater = true;
	readonly #ingest: () => Pick<Ingest, "publish"> | null;
	readonly #counters: Pick<Counters, "add">;

	constructor(ingest: () => Pick<Ingest, "publish"> | null, counters: Pick<Counters, "add">) {
		this.#ingest = ingest;
		this.#counters = counters;
	}

	publish(kind: RecordKind, sender: number, channels: ChannelList, payload: Uint8Array, settled: Settled): false | "pending" {
		const ingest = this.#ingest();
		if (ingest === null || !ingest.publish({ kind, channels: channels.names, payload }, sender, settled)) {
			this.#counters.add("backpressured", 1);
			return false;
		}
		this.#counters.add("messagesIn", 1);
		this.#counters.add("bytesIn", payload.length);
		return "pending";
	}

	/** Nothing is held on this way: what has no room is refused. */
	publishOrHold(kind: RecordKind, sender: number, channels: ChannelList, payload: Uint8Array, settled: Settled): false | "pending" {
		return this.publish(kind, sender, channels, payload, settled);
	}
}

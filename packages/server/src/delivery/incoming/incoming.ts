import type { MessageDetails, MessageSink } from "@shardcast/bus";
import { type ChannelList, channelList, type Publishing, type RecordKind } from "@shardcast/wire";
import type { AnnouncementType, Publisher } from "../publishing/publisher.ts";
import type { Handlers, MessageBatch } from "./handlers.ts";
import type { MessageContext } from "./middleware.ts";

export interface IncomingParts {
	readonly publisher: MessageSink;
	/** Joins and leaves go onto the bus, wherever messages go. */
	readonly announcer: Pick<Publisher, "announce">;
	readonly handlers: Handlers;
}

/** A client whose messages come one after the other and keep their order. */
export interface MessageSender {
	/** Under which its messages go out, so that it does not get them back; 0 = nobody. */
	readonly sender: number;
	readonly address: string;
}

/** Who publishes over HTTP, or the program that runs the server. */
export interface MessageSource {
	readonly address: string;
	/** When the messages are one batch. */
	readonly batch?: MessageBatch;
}

/**
 * What comes in, from clients, over HTTP or from the program that runs the server: through the handlers into the ring, or to Kafka. Who may
 * publish what is for the callers to know.
 *
 * One owner, the shard's loop.
 */
export class Incoming {
	readonly #parts: IncomingParts;

	constructor(parts: IncomingParts) {
		this.#parts = parts;
	}

	/**
	 * A message of a client, which is held when there is no room. Its bytes may be reused when this returns.
	 * @param toSender the client gets its own message if it listens to the channel.
	 */
	fromClient(
		client: MessageSender,
		kind: RecordKind,
		channels: ChannelList,
		payload: Uint8Array,
		details?: MessageDetails,
		toSender = false,
	): Publishing {
		const { publisher, handlers } = this.#parts;
		if (handlers.isEmpty) return publisher.publishOrHold(kind, toSender ? 0 : client.sender, channels, payload, details);
		return handlers.take(
			client,
			{ source: "websocket", kind, channels: channels.names, address: client.address, payload },
			// Nobody is the sender any more of a message whose client has left meanwhile.
			(handled) => publisher.publishOrHold(kind, toSender ? 0 : client.sender, channels, handled, details),
		);
	}

	/**
	 * A message over HTTP, or of the program that runs the server.
	 * @param from whose messages keep their order; its address is asked for only while there are handlers.
	 */
	publish(
		kind: RecordKind,
		channels: ChannelList,
		payload: Uint8Array,
		from: MessageSource,
		source: MessageContext["source"] = "http",
		details?: MessageDetails,
	): Publishing {
		const { publisher, handlers } = this.#parts;
		if (handlers.isEmpty) return publisher.publish(kind, 0, channels, payload, details);
		return handlers.take(
			from,
			{ source, kind, channels: channels.names, address: from.address, payload },
			(handled) => publisher.publish(kind, 0, channels, handled, details),
			from.batch,
		);
	}

	/** See `Publisher.announce`. */
	announce(type: AnnouncementType, channel: string, info: Uint8Array): boolean {
		return this.#parts.announcer.announce(type, channelList([channel]), info);
	}
}

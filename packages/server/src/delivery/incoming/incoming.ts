import type { MessageDetails, MessageSink } from "@shardcast/bus";
import type { TraceContext } from "@shardcast/telemetry";
import { type ChannelList, channelList, type Publishing, type PublishResult, type RecordKind } from "@shardcast/wire";
import { MessageSpan, type PublishTracing } from "../../tracing/request-span.ts";
import type { AnnouncementType, DirectMessage, Publisher } from "../publishing/publisher.ts";
import type { Handlers, MessageBatch } from "./handlers.ts";
import type { MessageContext } from "./middleware.ts";

interface IncomingParts {
	readonly publisher: MessageSink;
	/** Puts joins, leaves and messages to connections on the bus, wherever publications go. */
	readonly announcer: Pick<Publisher, "announce" | "direct">;
	readonly handlers: Handlers;
	/** Absent = messages are not traced. */
	readonly tracing?: PublishTracing | null;
}

/** A client, whose messages keep their order. */
interface MessageSender {
	/** Sender number of its messages, so that it does not get them back; 0 = none. */
	readonly sender: number;
	readonly address: string;
}

/** A publisher over HTTP, or the program that runs the server. */
export interface MessageSource {
	readonly address: string;
	/** Set if the messages are one batch. */
	readonly batch?: MessageBatch;
}

/**
 * Takes messages from clients, from HTTP and from the program that runs the server, and passes them through the handlers to the ring or to Kafka.
 * Callers check permissions.
 *
 * Owned by the shard's loop.
 */
export class Incoming {
	readonly #parts: IncomingParts;

	constructor(parts: IncomingParts) {
		this.#parts = parts;
	}

	/**
	 * Takes a message of a client. It is held while there is no room. The caller may reuse its bytes when this returns.
	 * @param toSender whether the client gets its own message if it listens to the channel.
	 */
	fromClient(
		client: MessageSender,
		kind: RecordKind,
		channels: ChannelList,
		payload: Uint8Array,
		details?: MessageDetails,
		toSender = false,
	): Publishing {
		const { tracing } = this.#parts;
		const span = tracing == null ? null : MessageSpan.begin(tracing, null, "websocket", channels.names, payload.length);
		if (span === null) return this.#fromClient(client, kind, channels, payload, details, toSender);
		return span.endsWith(this.#fromClient(client, kind, channels, payload, span.details(details), toSender));
	}

	#fromClient(
		client: MessageSender,
		kind: RecordKind,
		channels: ChannelList,
		payload: Uint8Array,
		details: MessageDetails | undefined,
		toSender: boolean,
	): Publishing {
		const { publisher, handlers } = this.#parts;
		if (handlers.isEmpty) return publisher.publishOrHold(kind, toSender ? 0 : client.sender, channels, payload, details);
		return handlers.take(
			client,
			{ source: "websocket", kind, channels: channels.names, address: client.address, payload },
			// If the client has left meanwhile, the message has no sender.
			(handled) => publisher.publishOrHold(kind, toSender ? 0 : client.sender, channels, handled, details),
		);
	}

	/**
	 * Takes a message from HTTP, or of the program that runs the server.
	 * @param parent its trace, for one that is not from HTTP; null = none.
	 * @param from the publisher, whose messages keep their order. Its address is read only if there are handlers.
	 */
	publish(
		kind: RecordKind,
		channels: ChannelList,
		payload: Uint8Array,
		from: MessageSource,
		source: MessageContext["source"] = "http",
		details?: MessageDetails,
		parent: TraceContext | null = null,
	): Publishing {
		const { tracing } = this.#parts;
		// A request over HTTP has its own span.
		const span = tracing == null || source === "http" ? null : MessageSpan.begin(tracing, parent, source, channels.names, payload.length);
		if (span === null) return this.#publish(kind, channels, payload, from, source, details);
		return span.endsWith(this.#publish(kind, channels, payload, from, source, span.details(details)));
	}

	#publish(
		kind: RecordKind,
		channels: ChannelList,
		payload: Uint8Array,
		from: MessageSource,
		source: MessageContext["source"],
		details: MessageDetails | undefined,
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

	/** Sends a message to connections. It passes through no handler and never through Kafka: it belongs to no channel. */
	direct(message: DirectMessage): PublishResult {
		return this.#parts.announcer.direct(message);
	}

	/** See `Publisher.announce`. */
	announce(type: AnnouncementType, channel: string, info: Uint8Array): boolean {
		return this.#parts.announcer.announce(type, channelList([channel]), info);
	}
}

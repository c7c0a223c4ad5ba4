import type { MessageSink } from "@shardcast/bus";
import type { RateLimit } from "@shardcast/limits";
import type { Counters } from "@shardcast/scoreboard";
import { type ChannelList, CloseCode, type Publishing, type PublishResult, publishTaken, RecordKind } from "@shardcast/wire";
import type { RawSession } from "../sessions/raw/raw-session.ts";
import type { SenderIds } from "../sessions/raw/sender-ids.ts";
import type { Handlers } from "./handlers.ts";
import type { MessageContext } from "./middleware.ts";

export interface IncomingParts {
	readonly senders: SenderIds<RawSession>;
	readonly publisher: MessageSink;
	readonly handlers: Handlers;
	readonly rate: RateLimit<RawSession>;
	readonly counters: Counters;
	readonly payloadBytesMax: number;
	/** Looked up at each frame. */
	readonly clientsMayPublish: boolean;
	readonly nowMs: () => number;
}

/**
 * What comes in: a frame of a client, or a message over HTTP, through the handlers into the ring.
 *
 * One owner, the shard's loop. Each refusal has a code and a counter: a frame that is too long closes its client with 1009, one
 * above the rate with 1008, one of a client that may only receive with 3507, one that found no room in the ring, nor among the held, nor among those
 * that wait for a handler, with 1013.
 */
export class Incoming {
	readonly #parts: IncomingParts;

	constructor(parts: IncomingParts) {
		this.#parts = parts;
	}

	/** A frame of a client; the bytes are gone when this returns. */
	frame(client: RawSession, message: ArrayBuffer, isBinary: boolean): void {
		const { senders, rate, counters, handlers } = this.#parts;
		// A client that is being closed has been told, or is being told, that it is not heard any more.
		if (client.leaving !== 0 || client.channelSet === null) return;
		if (!this.#parts.clientsMayPublish) {
			client.close(CloseCode.receiveOnly);
			return;
		}
		if (message.byteLength > this.#parts.payloadBytesMax) {
			client.close(CloseCode.messageTooBig);
			return;
		}
		if (!rate.isOff && !rate.take(client, this.#parts.nowMs())) {
			counters.add("rateLimited", 1);
			client.close(CloseCode.policyViolation);
			return;
		}
		if (client.sender === 0) client.sender = senders.assign(client);
		const kind = isBinary ? RecordKind.binary : RecordKind.text;
		const payload = new Uint8Array(message);
		const { channels } = client.channelSet;
		const result = handlers.isEmpty
			? this.#fromClient(client, kind, channels, payload)
			: handlers.take(client, { source: "websocket", kind, channels: channels.names, address: client.address, payload }, (handled) =>
					this.#fromClient(client, kind, channels, handled),
				);
		if (result === publishTaken) return;
		if (result instanceof Promise) void result.then((later) => this.#closeIfLost(client, later));
		else this.#closeIfLost(client, result);
	}

	/** The client is gone. */
	closed(client: RawSession): void {
		this.#parts.rate.forget(client);
	}

	/**
	 * A message over HTTP, or of the program that runs the server.
	 * @param from whose messages keep their order; its address is asked for only while there are handlers.
	 */
	publish(
		kind: RecordKind,
		channels: ChannelList,
		payload: Uint8Array,
		from: { readonly address: string },
		source: MessageContext["source"] = "http",
	): Publishing {
		const { publisher, handlers } = this.#parts;
		if (handlers.isEmpty) return publisher.publish(kind, 0, channels, payload);
		return handlers.take(from, { source, kind, channels: channels.names, address: from.address, payload }, (handled) =>
			publisher.publish(kind, 0, channels, handled),
		);
	}

	/** Nobody is the sender any more of a message whose client has left meanwhile. */
	#fromClient(client: RawSession, kind: RecordKind, channels: ChannelList, payload: Uint8Array): Publishing {
		return this.#parts.publisher.publishOrHold(kind, client.sender, channels, payload);
	}

	/** What a handler stopped, or failed on, costs no more than the message. */
	#closeIfLost(client: RawSession, { outcome }: PublishResult): void {
		if (outcome === "full" || outcome === "unacknowledged") client.close(CloseCode.tryAgainLater);
	}
}

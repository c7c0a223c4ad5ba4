import { isUtf8 } from "node:buffer";
import type { MessageSink } from "@shardcast/bus";
import type { RateLimit } from "@shardcast/limits";
import type { Counters } from "@shardcast/scoreboard";
import {
	type ChannelList,
	CloseCode,
	type Publishing,
	type PublishResult,
	publishFailed,
	publishStopped,
	publishTaken,
	RecordKind,
} from "@shardcast/wire";
import type { RawSession } from "../sessions/raw/raw-session.ts";
import type { SenderIds } from "../sessions/raw/sender-ids.ts";
import type { MessageContext, MiddlewareChain } from "./middleware.ts";

export interface IncomingParts {
	readonly senders: SenderIds<RawSession>;
	readonly publisher: MessageSink;
	readonly middleware: MiddlewareChain;
	readonly rate: RateLimit<RawSession>;
	readonly counters: Counters;
	readonly payloadBytesMax: number;
	/** Looked up at each frame. */
	readonly clientsMayPublish: boolean;
	readonly nowMs: () => number;
	/** Told about an exception of a handler. */
	readonly onHandlerError: (error: unknown) => void;
}

/**
 * What comes in: a frame of a client, or a message over HTTP, through the handlers into the ring.
 *
 * One owner, the shard's loop. Each refusal has a code and a counter: a frame that is too long closes its client with 1009, one
 * above the rate with 1008, one of a client that may only receive with 3507, one that found neither room in the ring nor among the held with 1013.
 */
export class Incoming {
	readonly #parts: IncomingParts;

	constructor(parts: IncomingParts) {
		this.#parts = parts;
	}

	/** A frame of a client; the bytes are gone when this returns. */
	frame(client: RawSession, message: ArrayBuffer, isBinary: boolean): void {
		const { senders, rate, counters, middleware } = this.#parts;
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
		if (middleware.isEmpty) {
			this.#fromClient(client, kind, channels, payload);
			return;
		}
		this.#handle({ source: "websocket", kind, channels: channels.names, address: client.address, payload }, (handled) =>
			this.#fromClient(client, kind, channels, handled),
		);
	}

	/** The client is gone. */
	closed(client: RawSession): void {
		this.#parts.rate.forget(client);
	}

	/** A message over HTTP, or of the program that runs the server. @param from whose address is asked for only while there are handlers. */
	publish(
		kind: RecordKind,
		channels: ChannelList,
		payload: Uint8Array,
		from: { readonly address: string },
		source: MessageContext["source"] = "http",
	): Publishing {
		const { publisher, middleware } = this.#parts;
		if (middleware.isEmpty) return publisher.publish(kind, 0, channels, payload);
		let result: Publishing = publishStopped;
		const ran = this.#handle({ source, kind, channels: channels.names, address: from.address, payload }, (handled) => {
			result = publisher.publish(kind, 0, channels, handled);
		});
		return ran ? result : publishFailed;
	}

	#fromClient(client: RawSession, kind: RecordKind, channels: ChannelList, payload: Uint8Array): void {
		const result = this.#parts.publisher.publishOrHold(kind, client.sender, channels, payload);
		if (result === publishTaken) return;
		if (result instanceof Promise) void result.then((later) => this.#closeIfLost(client, later));
		else this.#closeIfLost(client, result);
	}

	#closeIfLost(client: RawSession, result: PublishResult): void {
		if (result.outcome !== "taken") client.close(CloseCode.tryAgainLater);
	}

	#handle(context: MessageContext, last: (payload: Uint8Array) => void): boolean {
		try {
			this.#parts.middleware.run(context, () => {
				// What a handler puts in goes out, so it is held to the same limit as what came in.
				if (context.payload.length > this.#parts.payloadBytesMax)
					throw new RangeError(`a handler made a message of ${context.payload.length} bytes`);
				// A text frame that is no UTF-8 would make every client close its connection.
				if (context.kind === RecordKind.text && !isUtf8(context.payload))
					throw new TypeError("a handler made a text message that is no UTF-8; change strings, not bytes");
				last(context.payload);
			});
			return true;
		} catch (error) {
			this.#parts.counters.add("handlerErrors", 1);
			this.#parts.onHandlerError(error);
			return false;
		}
	}
}

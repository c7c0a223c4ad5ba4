import { RateLimit } from "@shardcast/limits";
import type { Counters } from "@shardcast/scoreboard";
import { CloseCode, type PublishResult, publishTaken, RecordKind } from "@shardcast/wire";
import type { Incoming } from "../../delivery/incoming/incoming.ts";
import type { ClientSession } from "../client-session.ts";
import type { SenderIds } from "../sender-ids.ts";
import type { RawSession } from "./raw-session.ts";

export interface RawFramesParts {
	readonly incoming: Pick<Incoming, "fromClient">;
	readonly senders: SenderIds<ClientSession>;
	readonly counters: Pick<Counters, "add">;
	readonly payloadBytesMax: number;
	/** Asked for each frame. */
	readonly mayPublish: (client: RawSession) => boolean;
	readonly nowMs: () => number;
}

/**
 * What a raw client sends: each frame is a message to its channels.
 *
 * One owner, the shard's loop. Each refusal has a code and a counter: a frame that is too long closes its client with 1009, one
 * above the rate with 1008, one of a client that may only receive with 3507, one that found no room in the ring, nor among the held, nor among those
 * that wait for a handler, with 1013, one that its channels do not take with 1007, or 1009 when it is too long for them.
 */
export class RawFrames {
	/** `--message-rate` by client. */
	readonly rate: RateLimit<RawSession>;
	readonly #parts: RawFramesParts;

	/** @param rate messages per second and client, 0 = any number; and for how many clients that is kept. */
	constructor(parts: RawFramesParts, rate: { readonly perSecond: number; readonly clientsMax: number }) {
		this.#parts = parts;
		this.rate = new RateLimit(rate.perSecond, rate.clientsMax);
	}

	/** The bytes are gone when this returns. */
	take(client: RawSession, message: ArrayBuffer, isBinary: boolean): void {
		const { incoming, senders, counters } = this.#parts;
		// A client that is being closed has been told, or is being told, that it is not heard any more.
		if (client.leaving !== 0 || client.channelSet === null) return;
		if (!this.#parts.mayPublish(client)) {
			client.close(CloseCode.receiveOnly);
			return;
		}
		if (message.byteLength > this.#parts.payloadBytesMax) {
			client.close(CloseCode.messageTooBig);
			return;
		}
		if (!this.rate.isOff && !this.rate.take(client, this.#parts.nowMs())) {
			counters.add("rateLimited", 1);
			client.close(CloseCode.policyViolation);
			return;
		}
		if (client.sender === 0) client.sender = senders.assign(client);
		const kind = isBinary ? RecordKind.binary : RecordKind.text;
		const result = incoming.fromClient(client, kind, client.channelSet.channels, new Uint8Array(message), client.details);
		if (result === publishTaken) return;
		if (result instanceof Promise) void result.then((later) => closeIfLost(client, later));
		else closeIfLost(client, result);
	}

	/** The client is gone. */
	forget(client: RawSession): void {
		this.rate.forget(client);
	}
}

/** What a handler stopped, or failed on, costs no more than the message. */
function closeIfLost(client: RawSession, { outcome }: PublishResult): void {
	if (outcome === "full" || outcome === "unacknowledged") client.close(CloseCode.tryAgainLater);
	else if (outcome === "too_large") client.close(CloseCode.messageTooBig);
	else if (outcome === "invalid") client.close(CloseCode.invalidMessage);
}

import { RateLimit } from "@shardcast/limits";
import type { Counters } from "@shardcast/scoreboard";
import { CloseCode, type PublishResult, publishAccepted, RecordKind } from "@shardcast/wire";
import type { Incoming } from "../../delivery/incoming/incoming.ts";
import type { ClientSession } from "../client-session.ts";
import type { SenderIds } from "../sender-ids.ts";
import type { RawSession } from "./raw-session.ts";

interface RawFramesParts {
	readonly incoming: Pick<Incoming, "fromClient">;
	readonly senders: SenderIds<ClientSession>;
	readonly counters: Pick<Counters, "add">;
	readonly payloadBytesMax: number;
	/** Called for each frame. */
	readonly mayPublish: (client: RawSession) => boolean;
	readonly nowMs: () => number;
}

/**
 * Publishes what raw clients send: each frame is a message to the channels of its client.
 *
 * Owned by the shard's loop. Each refusal has a code and a counter: a frame that is too long closes its client with 1009; one above the rate
 * with 1008; one from a client that may not publish with 3507; one that finds no space in the ring, among the held frames or among those that
 * wait for a handler with 1013; one that its channels do not accept with 1007, or 1009 if it is too long for them.
 */
export class RawFrames {
	/** Enforces `--message-rate` for each client. */
	readonly rate: RateLimit<RawSession>;
	readonly #parts: RawFramesParts;

	/** @param rate messages per second and client, 0 = unlimited; and the most clients that are tracked. */
	constructor(parts: RawFramesParts, rate: { readonly perSecond: number; readonly clientsMax: number }) {
		this.#parts = parts;
		this.rate = new RateLimit(rate.perSecond, rate.clientsMax);
	}

	/** The bytes are not valid after this returns. */
	take(client: RawSession, message: ArrayBuffer, isBinary: boolean): void {
		const { incoming, senders, counters } = this.#parts;
		// A client that is closing has been told, or is being told, that it is no longer served.
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
		if (result === publishAccepted) return;
		if (result instanceof Promise) void result.then((later) => closeIfLost(client, later));
		else closeIfLost(client, result);
	}

	/** The client has disconnected. */
	forget(client: RawSession): void {
		this.rate.forget(client);
	}
}

/** A message that a handler stopped or failed on is lost, but its client stays connected. */
function closeIfLost(client: RawSession, { outcome }: PublishResult): void {
	if (outcome === "full" || outcome === "unacknowledged") client.close(CloseCode.tryAgainLater);
	else if (outcome === "too_large") client.close(CloseCode.messageTooBig);
	else if (outcome === "invalid") client.close(CloseCode.invalidMessage);
}

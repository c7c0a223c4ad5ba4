import type { RecordHead } from "@shardcast/wire";
import type { DeliveredRecord } from "../delivery/delivered-record.ts";
import type { Transport } from "../transports/transport.ts";

/** What makes the frames of one protocol around a payload. */
export interface Encoder {
	readonly isBinary: boolean;
	/**
	 * The frame for one audience. Called once for each record and audience, however many clients that has.
	 * @param record lies in the ring; it and the result are used up before the next call.
	 */
	encode(record: DeliveredRecord): Uint8Array;
}

/** One array for all audiences that are topics only. */
const nobody: readonly Transport[] = [];

/**
 * Clients that get the same bytes: those of a channel set, or of one channel in one variant of a protocol. One class, so that the fan-out's
 * reads of it are monomorphic.
 */
export class Audience {
	/** Of uWebSockets.js, for clients on WebSockets: one call reaches all of them. */
	readonly topic: string;
	/** How many clients those are. One writer, the provider. */
	size = 0;
	/** Clients on other transports, each with a call. */
	readonly listed: readonly Transport[];
	/** Null = they get the payload as it was published. */
	readonly encoder: Encoder | null;

	/** @param listed the provider's own list, which it changes as clients come and go. */
	constructor(topic: string, encoder: Encoder | null = null, listed: readonly Transport[] = nobody) {
		this.topic = topic;
		this.encoder = encoder;
		this.listed = listed;
	}
}

/** Knows the clients of one kind of session by what they listen to. One owner, the shard's loop. */
export interface AudienceProvider<Subscription = never> {
	/** The client gets messages from now on. */
	subscribe(client: Transport, subscription: Subscription): void;
	/** The client gets no more messages through this subscription. */
	unsubscribe(client: Transport, subscription: Subscription): void;
	/**
	 * Adds the audiences that get the record: none of them empty, no client in two of them for the same thing. Called for each record:
	 * nothing may be allocated in here.
	 */
	select(u8: Uint8Array, view: DataView, head: RecordHead, into: Audience[]): void;
	/** Clients that get a message of this channel; "" = one to everybody. For people, not for the hot path. */
	reach(channel: string): number;
}

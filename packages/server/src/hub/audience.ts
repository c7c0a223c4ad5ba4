import type { RecordHead } from "@shardcast/wire";
import type { DeliveredRecord } from "../delivery/delivered-record.ts";
import { hasTopics, type Transport } from "../transports/transport.ts";

/** What makes the frames of one protocol around a payload. */
export interface Encoder {
	readonly isBinary: boolean;
	/**
	 * The frame for one audience. Called once for each record and audience, however many clients that has.
	 * Null = this audience does not get the record.
	 * @param record lies in the ring; it and the result are used up before the next call.
	 */
	encode(record: DeliveredRecord): Uint8Array | null;
}

/** One array for all audiences that are topics only; nothing is ever put into it. */
const nobody: Transport[] = [];

export interface AudienceOptions {
	/** Null = its clients get the payload as it was published. */
	readonly encoder?: Encoder | null;
	/** All clients of the audience are in this one as well; the provider never selects both for a record. */
	readonly wider?: Audience | null;
}

/**
 * Clients that get the same bytes: those of a channel set, or of one channel in one variant of a protocol. `Hub.subscribe` puts a client into
 * one. One class, so that the fan-out's reads of it are monomorphic.
 */
export class Audience {
	/** Of uWebSockets.js, for clients on WebSockets: one call reaches all of them. Never a topic that was used before. */
	readonly topic: string;
	/** How many clients those are. One writer, the hub. */
	size = 0;
	/** Clients on transports without topics, each with a call. One writer, the hub. */
	listed = nobody;
	/** Its clients get the payload as it was published, by the topic alone. One word for the fan-out to look at, instead of three. */
	isPlain: boolean;
	readonly encoder: Encoder | null;
	readonly provider: AudienceProvider;
	readonly wider: Audience | null;

	constructor(topic: string, provider: AudienceProvider, { encoder = null, wider = null }: AudienceOptions = {}) {
		this.topic = topic;
		this.provider = provider;
		this.encoder = encoder;
		this.isPlain = encoder === null;
		this.wider = wider;
	}

	/** All of its clients. */
	get clients(): number {
		return this.size + this.listed.length;
	}

	/** Counts a client in. For the hub only. */
	add(client: Transport): void {
		if (hasTopics(client)) {
			this.size++;
			return;
		}
		this.isPlain = false;
		if (this.listed === nobody) this.listed = [client];
		else this.listed.push(client);
	}

	/** Counts a client out. For the hub only. Of a list it costs a search. */
	remove(client: Transport): void {
		if (hasTopics(client)) {
			this.size--;
			return;
		}
		this.listed.splice(this.listed.indexOf(client), 1);
		this.isPlain = this.encoder === null && this.listed.length === 0;
	}
}

/** Finds audiences by what their clients listen to, for one kind of session. It makes them; who is in them is the hub's. One owner, the shard's loop. */
export interface AudienceProvider {
	/** Subscriptions to its audiences at present. One writer, the hub. */
	subscriptions: number;
	/**
	 * Adds the audiences that get the record: no client in two of them for the same thing. Called for each record: nothing may be allocated
	 * in here.
	 */
	select(u8: Uint8Array, view: DataView, head: RecordHead, into: Audience[]): void;
	/** Clients that get a message of this channel; "" = one to everybody. For people, not for the hot path. */
	reach(channel: string): number;
	/** The last client has left this audience. */
	emptied(audience: Audience): void;
}

/** Gets to know which channels have subscribers among the audiences of one provider. */
export interface ChannelWatch {
	subscribed(channel: string): void;
	unsubscribed(channel: string): void;
}

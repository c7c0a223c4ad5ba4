import type { RecordHead } from "@shardcast/wire";
import type { DeliveredRecord } from "../delivery/delivered-record.ts";
import { hasTopics, type Transport } from "../transports/transport.ts";

/** Encodes payloads into frames of a protocol. */
export interface Encoder {
	readonly isBinary: boolean;
	/**
	 * Returns the frame for an audience, or null if the audience does not get the record. Called once per record and audience, however many clients it
	 * has.
	 * @param record is in the ring. It and the result are valid until the next call.
	 */
	encode(record: DeliveredRecord): Uint8Array | null;
}

/** Shared by all audiences that have only a topic; always empty. */
const nobody: Transport[] = [];

export interface AudienceOptions {
	/** Null = clients get the payload as published. */
	readonly encoder?: Encoder | null;
	/** An audience that contains all clients of this one. The provider never selects both for a record. */
	readonly wider?: Audience | null;
}

/**
 * Clients that get the same bytes: those of a channel set, or of a channel in one variant of a protocol. `Hub.subscribe` adds a client. There is only
 * one class, so that reads in the fan-out are monomorphic.
 */
export class Audience {
	/** Topic of uWebSockets.js for clients on WebSockets: one call sends to all of them. Never reused. */
	readonly topic: string;
	/** Number of these clients. Written by the hub. */
	size = 0;
	/** Clients on transports without topics, which need a call each. Written by the hub. */
	listed = nobody;
	/** Whether all clients get the payload as published, through the topic. Saves the fan-out two checks. */
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

	/** Number of all clients. */
	get clients(): number {
		return this.size + this.listed.length;
	}

	/** Adds a client. Called by the hub only. */
	add(client: Transport): void {
		if (hasTopics(client)) {
			this.size++;
			return;
		}
		this.isPlain = false;
		if (this.listed === nobody) this.listed = [client];
		else this.listed.push(client);
	}

	/** Removes a client. Called by the hub only. Costs a search in `listed`. */
	remove(client: Transport): void {
		if (hasTopics(client)) {
			this.size--;
			return;
		}
		this.listed.splice(this.listed.indexOf(client), 1);
		this.isPlain = this.encoder === null && this.listed.length === 0;
	}
}

/** Creates the audiences of one kind of session, and finds them by what their clients listen to. The hub manages their clients. Owned by the shard's loop. */
export interface AudienceProvider {
	/** Whether its clients may have a position in a channel. */
	readonly holdsPositions?: true;
	/** Current subscriptions to its audiences. Written by the hub. */
	subscriptions: number;
	/**
	 * Adds the audiences that get the record to `into`. No client may be in two of them for the same subscription. Called for each record: must not
	 * allocate.
	 */
	select(u8: Uint8Array, view: DataView, head: RecordHead, into: Audience[]): void;
	/** Number of clients that get a message of this channel; "" = to everybody. For display, not for hot paths. */
	reach(channel: string): number;
	/** Called when the last client has left an audience. */
	emptied(audience: Audience): void;
}

/** Is notified which channels have subscribers among the audiences of a provider. */
export interface ChannelWatch {
	subscribed(channel: string): void;
	unsubscribed(channel: string): void;
}

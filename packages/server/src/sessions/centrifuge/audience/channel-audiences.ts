import { ChannelEntry, channelEntryIs, channelHash, nextChannelEntry, type RecordHead } from "@shardcast/wire";
import { Audience, type AudienceProvider } from "../../../hub/audience.ts";
import type { TopicTransport, Transport } from "../../../transports/transport.ts";
import type { Framing } from "../framing.ts";
import { ChannelEncoder } from "./channel-encoder.ts";

/** What a client of the protocol listens to, in which encoding. */
export interface ChannelSubscription {
	readonly channel: string;
	readonly framing: Framing;
}

/** The subscribers of a channel in one encoding. */
interface CodecAudience {
	readonly framing: Framing;
	readonly audience: Audience;
	readonly listed: Transport[];
}

/** A channel that somebody here listens to. Channels whose hashes are equal form a list. */
interface Channel {
	readonly name: Uint8Array;
	readonly audiences: CodecAudience[];
	next: Channel | null;
}

/**
 * Who listens to which channel by the protocol: an audience for each channel and encoding, so that a publication is encoded once for all of
 * its subscribers. Messages to everybody have no channel, and reach raw clients only.
 *
 * One owner, the shard's loop. Bound: subscriptions, of which a client has as many as its channel limit allows; a channel goes with its last.
 */
export class ChannelAudiences implements AudienceProvider<ChannelSubscription> {
	readonly #byHash = new Map<number, Channel>();
	#topics = 0;
	#channels = 0;
	#subscriptions = 0;

	/** Channels that somebody listens to. */
	get channelCount(): number {
		return this.#channels;
	}

	/** Of all clients. */
	get subscriptionCount(): number {
		return this.#subscriptions;
	}

	subscribe(client: Transport, { channel, framing }: ChannelSubscription): void {
		const { audience, listed } = this.#audience(channel, framing);
		this.#subscriptions++;
		if (!hasTopics(client)) listed.push(client);
		else {
			client.subscribe(audience.topic);
			audience.size++;
		}
	}

	/** Of a client that is subscribed, and connected. */
	unsubscribe(client: Transport, subscription: ChannelSubscription): void {
		this.#remove(client, subscription, true);
	}

	/** As `unsubscribe`, of a client whose connection is gone: its topics went with it. */
	forget(client: Transport, subscription: ChannelSubscription): void {
		this.#remove(client, subscription, false);
	}

	select(u8: Uint8Array, view: DataView, head: RecordHead, into: Audience[]): void {
		if (this.#channels === 0) return;
		let at = head.channelsStart;
		for (let index = 0; index < head.channelCount; index++) {
			let entry = this.#byHash.get(view.getUint32(at + ChannelEntry.hashOffset, true)) ?? null;
			while (entry !== null && !channelEntryIs(u8, at, entry.name)) entry = entry.next;
			if (entry !== null) for (const { audience } of entry.audiences) into.push(audience);
			at = nextChannelEntry(u8, at);
		}
	}

	reach(channel: string): number {
		const name = Buffer.from(channel);
		let clients = 0;
		for (const { audience, listed } of find(this.#byHash.get(channelHash(name)), name)?.audiences ?? [])
			clients += audience.size + listed.length;
		return clients;
	}

	#remove(client: Transport, { channel, framing }: ChannelSubscription, isOpen: boolean): void {
		const name = Buffer.from(channel);
		const hash = channelHash(name);
		const first = this.#byHash.get(hash);
		const found = find(first, name);
		const own = found?.audiences.find((audience) => audience.framing === framing);
		if (first === undefined || found === null || own === undefined) return;
		const { audience, listed } = own;
		this.#subscriptions--;
		if (!hasTopics(client)) listed.splice(listed.indexOf(client), 1);
		else {
			if (isOpen) client.unsubscribe(audience.topic);
			audience.size--;
		}
		if (audience.size + listed.length > 0) return;
		found.audiences.splice(found.audiences.indexOf(own), 1);
		if (found.audiences.length === 0) this.#forget(hash, first, found);
	}

	#audience(channel: string, framing: Framing): CodecAudience {
		const name = Buffer.from(channel);
		const hash = channelHash(name);
		const first = this.#byHash.get(hash);
		let found = find(first, name);
		if (found === null) {
			found = { name, audiences: [], next: first ?? null };
			this.#byHash.set(hash, found);
			this.#channels++;
		}
		const known = found.audiences.find((audience) => audience.framing === framing);
		if (known !== undefined) return known;
		const listed: Transport[] = [];
		// Never a topic that was used before: a client that is leaving may still be in that one.
		const topic = `${framing.name} ${++this.#topics}`;
		const made = { framing, listed, audience: new Audience(topic, new ChannelEncoder(channel, framing), listed) };
		found.audiences.push(made);
		return made;
	}

	#forget(hash: number, first: Channel, gone: Channel): void {
		this.#channels--;
		if (gone !== first) {
			let before = first;
			while (before.next !== gone) before = before.next!;
			before.next = gone.next;
		} else if (gone.next !== null) this.#byHash.set(hash, gone.next);
		else this.#byHash.delete(hash);
	}
}

function find(first: Channel | undefined, name: Uint8Array): Channel | null {
	let entry = first ?? null;
	while (entry !== null && Buffer.compare(entry.name, name) !== 0) entry = entry.next;
	return entry;
}

function hasTopics(client: Transport): client is TopicTransport {
	return "subscribe" in client;
}

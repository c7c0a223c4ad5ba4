import { ChannelEntry, channelEntryIs, channelHash, nextChannelEntry, type RecordHead } from "@shardcast/wire";
import { Audience, type AudienceProvider } from "../../../hub/audience.ts";
import type { Framing } from "../framing.ts";
import { ChannelEncoder } from "./channel-encoder.ts";

/** A channel with subscribers on this shard. Channels with the same hash form a list. */
interface Channel {
	readonly name: Uint8Array;
	/** One for each encoding. */
	readonly audiences: Audience[];
	next: Channel | null;
}

/**
 * The subscribers of each channel: one audience per channel and encoding, so that a publication is encoded once for all of its subscribers.
 * Messages without a channel go to raw clients only.
 *
 * One owner, the shard's loop. Bounded by the number of subscriptions, which each client's channel limit bounds. A channel is removed with its last subscription.
 */
export class ChannelAudiences implements AudienceProvider {
	subscriptions = 0;
	readonly #byHash = new Map<number, Channel>();
	#topics = 0;
	#channels = 0;

	/** Number of channels with subscribers. */
	get channelCount(): number {
		return this.#channels;
	}

	/** The subscribers of a channel in one encoding. The caller must subscribe a client at once. */
	of(channel: string, framing: Framing): Audience {
		const name = Buffer.from(channel);
		const hash = channelHash(name);
		const first = this.#byHash.get(hash);
		let found = find(first, name);
		if (found === null) {
			found = { name, audiences: [], next: first ?? null };
			this.#byHash.set(hash, found);
			this.#channels++;
		}
		for (const audience of found.audiences) if ((audience.encoder as ChannelEncoder).framing === framing) return audience;
		const audience = new Audience(`${framing.name} ${++this.#topics}`, this, { encoder: new ChannelEncoder(channel, framing) });
		found.audiences.push(audience);
		return audience;
	}

	emptied(audience: Audience): void {
		const name = Buffer.from((audience.encoder as ChannelEncoder).channel);
		const hash = channelHash(name);
		const first = this.#byHash.get(hash)!;
		const found = find(first, name)!;
		found.audiences.splice(found.audiences.indexOf(audience), 1);
		if (found.audiences.length === 0) this.#forget(hash, first, found);
	}

	select(u8: Uint8Array, view: DataView, head: RecordHead, into: Audience[]): void {
		if (this.#channels === 0) return;
		let at = head.channelsStart;
		for (let index = 0; index < head.channelCount; index++) {
			let entry = this.#byHash.get(view.getUint32(at + ChannelEntry.hashOffset, true)) ?? null;
			while (entry !== null && !channelEntryIs(u8, at, entry.name)) entry = entry.next;
			if (entry !== null) for (const audience of entry.audiences) into.push(audience);
			at = nextChannelEntry(u8, at);
		}
	}

	reach(channel: string): number {
		const name = Buffer.from(channel);
		let clients = 0;
		for (const audience of find(this.#byHash.get(channelHash(name)), name)?.audiences ?? []) clients += audience.clients;
		return clients;
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

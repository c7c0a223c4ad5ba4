import type { TagFilter } from "@shardcast/channels";
import { ChannelEntry, channelEntryIs, channelHash, nextChannelEntry, type RecordHead } from "@shardcast/wire";
import { Audience, type AudienceProvider, type ChannelWatch } from "../../../hub/audience.ts";
import type { Framing } from "../framing.ts";
import { ChannelDelta, DeltaMemory } from "./channel-delta.ts";
import { ChannelEncoder, type ChannelVariant } from "./channel-encoder.ts";
import { DeltaEncoder } from "./delta-encoder.ts";
import { FilteredEncoder, SharedFilter } from "./filtered-encoder.ts";

/** A channel with subscribers on this shard. Channels with the same hash form a list. */
interface Channel {
	readonly name: Uint8Array;
	/** One for each encoding and variant; those of the same encoding are adjacent. */
	readonly audiences: Audience[];
	/** By filter key; null = none. */
	filters: Map<string, SharedFilter> | null;
	/** Null = no subscriber takes deltas. */
	delta: ChannelDelta | null;
	next: Channel | null;
}

/** The most channels that `list` looks at: about 2 ms. */
const listedFromMax = 20_000;
/** Memory for deltas over all channels; beyond it, publications are sent whole. */
const deltaBytesMax = 64 * 1024 * 1024;

/**
 * The subscribers of each channel: one audience per channel and encoding, so that a publication is encoded once for all of its subscribers.
 * Those with a tag filter, and those that take deltas, have separate audiences: a publication costs one evaluation for each distinct
 * filter and one delta for all.
 * Messages without a channel go to raw clients only.
 *
 * One owner, the shard's loop. Bounded by the number of subscriptions, which each client's channel limit bounds. A channel is removed with its last subscription.
 */
export class ChannelAudiences implements AudienceProvider {
	readonly holdsPositions = true;
	subscriptions = 0;
	/** Those of clients that speak Protobuf. Counted by the sessions. */
	protobufSubscriptions = 0;
	/** Told of the first and the last subscriber of each channel; null = nobody listens. */
	watch: ChannelWatch | null = null;
	readonly #byHash = new Map<number, Channel>();
	readonly #deltaMemory = new DeltaMemory(deltaBytesMax);
	readonly #ready = new Set<Audience>();
	#topics = 0;
	#channels = 0;

	/** Bytes of publications that are kept as bases for deltas. */
	get deltaBytes(): number {
		return this.#deltaMemory.bytes;
	}

	/** Number of channels with subscribers. */
	get channelCount(): number {
		return this.#channels;
	}

	/** The subscribers of a channel in one encoding, with this filter. The caller must subscribe a client at once. */
	of(channel: string, framing: Framing, filter: TagFilter | null = null): Audience {
		const found = this.#channel(channel);
		if (filter !== null) return this.#filtered(found, channel, framing, filter);
		for (const audience of found.audiences) if (isPlain(audience, framing)) return audience;
		return this.#add(found, plainEncoder(found, channel, framing));
	}

	/**
	 * The subscribers of a channel in one encoding that take deltas. The caller must subscribe a client at once.
	 * @param hasLast whether the client has the last publication; see `hasLastOf`.
	 */
	ofDelta(channel: string, framing: Framing, hasLast: boolean): Audience {
		const found = this.#channel(channel);
		for (const audience of found.audiences) {
			const { encoder } = audience;
			// A client that subscribes after its publication must not join those that already have it.
			if (this.#ready.has(audience)) continue;
			if (encoder instanceof DeltaEncoder && encoder.framing === framing && (encoder.waiting === null) === hasLast) return audience;
		}
		found.delta ??= new ChannelDelta(this.#deltaMemory);
		const { delta } = found;
		delta.audiences++;
		if (hasLast) delta.followers++;
		const audience: Audience = this.#add(
			found,
			new DeltaEncoder(channel, framing, delta, hasLast ? null : () => this.#ready.add(audience)),
		);
		return audience;
	}

	/** Whether a client that has the publication at this offset can get the next one as a delta. */
	hasLastOf(channel: string, offset: number): boolean {
		const name = Buffer.from(channel);
		return find(this.#byHash.get(channelHash(name)), name)?.delta?.isAt(offset) ?? false;
	}

	/** Audiences whose clients have received their first whole publication since the last call. From now on they can receive deltas. */
	takeReady(): readonly Audience[] {
		if (this.#ready.size === 0) return nothing;
		const ready = [...this.#ready];
		this.#ready.clear();
		return ready;
	}

	emptied(audience: Audience): void {
		const encoder = audience.encoder as ChannelVariant;
		const name = Buffer.from(encoder.channel);
		const hash = channelHash(name);
		const first = this.#byHash.get(hash)!;
		const found = find(first, name)!;
		found.audiences.splice(found.audiences.indexOf(audience), 1);
		if (encoder instanceof FilteredEncoder) forgetFilter(found, encoder.filter, audience);
		else if (encoder instanceof DeltaEncoder) this.#forgetDelta(found, encoder, audience);
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

	/** The channels with subscribers. */
	*names(): Generator<string> {
		for (const first of this.#byHash.values())
			for (let entry: Channel | null = first; entry !== null; entry = entry.next) yield Buffer.from(entry.name).toString();
	}

	/** Calls `visit` with each channel and its number of subscribers, until it returns false. */
	each(visit: (name: string, subscribers: number) => boolean): void {
		for (const first of this.#byHash.values())
			for (let entry: Channel | null = first; entry !== null; entry = entry.next) {
				const subscribers = entry.audiences.reduce((sum, { clients }) => sum + clients, 0);
				if (!visit(Buffer.from(entry.name).toString(), subscribers)) return;
			}
	}

	/** The channels whose names contain a text, those with the most subscribers first, for display. Looks only at the first 20,000 channels. */
	list(search: string, most: number): { readonly name: string; readonly subscribers: number }[] {
		const sought = Buffer.from(search);
		const found: { readonly name: Uint8Array; readonly subscribers: number }[] = [];
		const bySubscribers = () => found.sort((one, other) => other.subscribers - one.subscribers).splice(most);
		let left = listedFromMax;
		for (const first of this.#byHash.values()) {
			for (let entry: Channel | null = first; entry !== null; entry = entry.next) {
				if (!Buffer.prototype.includes.call(entry.name, sought)) continue;
				found.push({ name: entry.name, subscribers: entry.audiences.reduce((sum, { clients }) => sum + clients, 0) });
				if (found.length >= 16 * most) bySubscribers();
			}
			if (--left === 0) break;
		}
		bySubscribers();
		return found.map(({ name, subscribers }) => ({ name: Buffer.from(name).toString(), subscribers }));
	}

	#channel(channel: string): Channel {
		const name = Buffer.from(channel);
		const hash = channelHash(name);
		const first = this.#byHash.get(hash);
		let found = find(first, name);
		if (found === null) {
			found = { name, audiences: [], filters: null, delta: null, next: first ?? null };
			this.#byHash.set(hash, found);
			this.#channels++;
			this.watch?.subscribed(channel);
		}
		return found;
	}

	#filtered(found: Channel, channel: string, framing: Framing, filter: TagFilter): Audience {
		found.filters ??= new Map();
		let shared = found.filters.get(filter.key);
		if (shared === undefined) {
			shared = new SharedFilter(filter);
			found.filters.set(filter.key, shared);
		}
		for (const audience of shared.audiences) if ((audience.encoder as ChannelVariant).framing === framing) return audience;
		const audience = this.#add(found, new FilteredEncoder(plainEncoder(found, channel, framing), shared));
		shared.audiences.push(audience);
		return audience;
	}

	/** Places it next to those of the same encoding, so that one frame serves all clients that get the same bytes. */
	#add({ audiences }: Channel, encoder: ChannelVariant): Audience {
		const audience = new Audience(`${encoder.framing.name} ${++this.#topics}`, this, { encoder });
		const last = audiences.findLastIndex((other) => (other.encoder as ChannelVariant).framing === encoder.framing);
		audiences.splice(last < 0 ? audiences.length : last + 1, 0, audience);
		return audience;
	}

	#forgetDelta(found: Channel, { delta, waiting }: DeltaEncoder, audience: Audience): void {
		this.#ready.delete(audience);
		delta.audiences--;
		if (waiting === null) delta.followers--;
		if (delta.audiences > 0) return;
		delta.forget();
		found.delta = null;
	}

	#forget(hash: number, first: Channel, gone: Channel): void {
		this.#channels--;
		this.watch?.unsubscribed(Buffer.from(gone.name).toString());
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

const nothing: readonly Audience[] = [];

function isPlain({ encoder }: Audience, framing: Framing): boolean {
	return encoder instanceof ChannelEncoder && encoder.framing === framing;
}

/** The encoder that the channel's subscribers already use, or a new one. */
function plainEncoder({ audiences }: Channel, channel: string, framing: Framing): ChannelEncoder {
	for (const { encoder } of audiences) {
		const own = encoder instanceof FilteredEncoder ? encoder.plain : encoder;
		if (own instanceof ChannelEncoder && own.framing === framing) return own;
	}
	return new ChannelEncoder(channel, framing);
}

function forgetFilter({ filters }: Channel, shared: SharedFilter, audience: Audience): void {
	shared.audiences.splice(shared.audiences.indexOf(audience), 1);
	if (shared.audiences.length === 0) filters!.delete(shared.filter.key);
}

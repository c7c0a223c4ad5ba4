import { ChannelEntry, type ChannelList, channelEntryIs, channelHash, nextChannelEntry, type RecordHead } from "@shardcast/wire";
import { Audience, type AudienceProvider, type ChannelWatch } from "../../hub/audience.ts";

/** All clients with the same set of channels. */
export interface ChannelSet {
	readonly audience: Audience;
	readonly channels: ChannelList;
	/** The number of clients that have entered and not left. */
	entered: number;
	/** The last selection that included this set. Comparing numbers is the cheapest way to include each set only once. */
	selected: number;
}

/** The sets that contain one channel. Channels with equal hashes form a list. */
interface SetsOfChannel {
	readonly name: Uint8Array;
	readonly channelSets: Set<ChannelSet>;
	next: SetsOfChannel | null;
}

/**
 * Finds the raw clients of a record. Clients are grouped by their *set* of channels, because uWebSockets.js delivers once per topic: with one
 * topic per channel, a client of two channels would get a record for both of them twice. Each client is in exactly one set, so:
 *
 *   record without channels → `unfiltered` and `filtered`: every client is in one of the two
 *   record with channels → `unfiltered`, and each set that shares a channel with it
 *
 * So every client gets every record at most once by construction, and no table of deliveries is needed.
 *
 * A client enters a set before it is connected, so that it can still be refused. Then it subscribes to the set's audience.
 *
 * Owned by the shard's loop. Bound: `channelSetsMax` distinct sets; beyond it `enter` returns null and the connection is refused. A set is
 * removed with its last client.
 */
export class ChannelSets implements AudienceProvider {
	subscriptions = 0;
	/** Increases whenever a client without channels becomes the only one. */
	unfilteredBegan = 0;
	/** Told when a channel gets its first set and loses its last; null = nobody listens. */
	watch: ChannelWatch | null = null;
	/** Clients without channels, which get every record. */
	readonly unfiltered: ChannelSet;
	/** All clients with channels, as one audience for records without channels. */
	readonly filtered = new Audience("filtered", this);
	#channelSetsMax: number;
	readonly #bySet = new Map<string, ChannelSet>();
	readonly #byChannel = new Map<number, SetsOfChannel>();
	#setsMade = 0;
	#selection = 0;

	constructor(everybody: ChannelList, channelSetsMax: number) {
		this.#channelSetsMax = channelSetsMax;
		this.unfiltered = { audience: new Audience("unfiltered", this), channels: everybody, entered: 0, selected: 0 };
	}

	/** Applies to sets that are created from now on. */
	set channelSetsMax(value: number) {
		this.#channelSetsMax = value;
	}

	/** The number of distinct sets. */
	get count(): number {
		return this.#bySet.size;
	}

	/** The number of distinct channels, by their hashes. */
	get channelCount(): number {
		return this.#byChannel.size;
	}

	/**
	 * Counts a client in. Null when this would need another set and there are already `channelSetsMax`.
	 * @param receivesAll whether a client without channels gets every record; otherwise it gets only records without channels.
	 */
	enter(channels: ChannelList, receivesAll = true): ChannelSet | null {
		if (channels.count === 0 && receivesAll) {
			if (this.unfiltered.entered++ === 0) this.unfilteredBegan++;
			return this.unfiltered;
		}
		const key = keyOf(channels);
		let channelSet = this.#bySet.get(key);
		if (channelSet === undefined) {
			if (this.#bySet.size >= this.#channelSetsMax) return null;
			const audience = new Audience(`set ${++this.#setsMade}`, this, { wider: this.filtered });
			channelSet = { audience, channels, entered: 0, selected: 0 };
			this.#bySet.set(key, channelSet);
			this.#index(channelSet);
		}
		channelSet.entered++;
		return channelSet;
	}

	/** Counts a client out. */
	leave(channelSet: ChannelSet): void {
		channelSet.entered--;
		if (channelSet === this.unfiltered || channelSet.entered > 0) return;
		this.#bySet.delete(keyOf(channelSet.channels));
		this.#forget(channelSet);
	}

	/** A set is removed when the last client that entered it leaves. */
	emptied(): void {}

	select(u8: Uint8Array, view: DataView, head: RecordHead, into: Audience[]): void {
		if (this.unfiltered.audience.clients > 0) into.push(this.unfiltered.audience);
		if (this.filtered.clients === 0) return;
		if (head.channelCount === 0) {
			into.push(this.filtered);
			return;
		}
		const selection = ++this.#selection;
		let at = head.channelsStart;
		for (let channel = 0; channel < head.channelCount; channel++) {
			const hash = view.getUint32(at + ChannelEntry.hashOffset, true);
			for (let entry = this.#byChannel.get(hash) ?? null; entry !== null; entry = entry.next) {
				if (!channelEntryIs(u8, at, entry.name)) continue;
				for (const channelSet of entry.channelSets) {
					if (channelSet.selected === selection) continue;
					channelSet.selected = selection;
					into.push(channelSet.audience);
				}
			}
			at = nextChannelEntry(u8, at);
		}
	}

	/** The names of all channels in sets. */
	*names(): Generator<string> {
		for (const first of this.#byChannel.values())
			for (let entry: SetsOfChannel | null = first; entry !== null; entry = entry.next) yield Buffer.from(entry.name).toString();
	}

	reach(name: string): number {
		if (name === "") return this.unfiltered.audience.clients + this.filtered.clients;
		const bytes = Buffer.from(name, "utf8");
		const channelSets = find(this.#byChannel.get(channelHash(bytes)), bytes)?.channelSets ?? [];
		let reached = this.unfiltered.audience.clients;
		for (const { audience } of channelSets) reached += audience.clients;
		return reached;
	}

	#index(channelSet: ChannelSet): void {
		for (const { hash, name } of entriesOf(channelSet.channels)) {
			const first = this.#byChannel.get(hash);
			const entry = find(first, name);
			if (entry !== null) entry.channelSets.add(channelSet);
			else {
				this.#byChannel.set(hash, { name, channelSets: new Set([channelSet]), next: first ?? null });
				this.watch?.subscribed(Buffer.from(name).toString());
			}
		}
	}

	#forget(channelSet: ChannelSet): void {
		for (const { hash, name } of entriesOf(channelSet.channels)) {
			const first = this.#byChannel.get(hash)!;
			const entry = find(first, name)!;
			entry.channelSets.delete(channelSet);
			if (entry.channelSets.size > 0) continue;
			this.watch?.unsubscribed(Buffer.from(name).toString());
			if (entry !== first) {
				let before = first;
				while (before.next !== entry) before = before.next!;
				before.next = entry.next;
			} else if (entry.next !== null) this.#byChannel.set(hash, entry.next);
			else this.#byChannel.delete(hash);
		}
	}
}

/** Equal for equal sets, whatever the order of the names. Uses JSON, because a name may contain any character. */
function keyOf(channels: ChannelList): string {
	return JSON.stringify([...channels.names].sort());
}

function entriesOf({ bytes, count }: ChannelList): { hash: number; name: Uint8Array }[] {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const entries: { hash: number; name: Uint8Array }[] = [];
	for (let index = 0, at = 0; index < count; index++) {
		const next = nextChannelEntry(bytes, at);
		entries.push({ hash: view.getUint32(at + ChannelEntry.hashOffset, true), name: bytes.subarray(at + ChannelEntry.nameOffset, next) });
		at = next;
	}
	return entries;
}

function find(first: SetsOfChannel | undefined, name: Uint8Array): SetsOfChannel | null {
	let entry = first ?? null;
	while (entry !== null && Buffer.compare(entry.name, name) !== 0) entry = entry.next;
	return entry;
}

import { ChannelEntry, type ChannelList, channelEntryIs, channelHash, nextChannelEntry, type RecordHead } from "@shardcast/wire";

/** A topic of uWebSockets.js and how many clients it reaches. */
export interface Audience {
	readonly topic: string;
	size: number;
}

/** All clients with one and the same set of channels. */
export interface Room extends Audience {
	readonly channels: ChannelList;
	/** Number of the selection that it was last part of: the cheapest way to take a room only once. */
	selected: number;
}

/** The rooms in which one channel is heard. Channels whose hashes are equal form a list. */
interface ChannelRooms {
	readonly name: Uint8Array;
	readonly rooms: Set<Room>;
	next: ChannelRooms | null;
}

/**
 * Who hears what. Clients are grouped by their *set* of channels, because uWebSockets.js delivers once per topic: with a topic
 * per channel, a client of two channels would get a record for both of them twice. A client is in exactly one room, so:
 *
 *   record without channels → `unfiltered` and `filtered`: all clients, each in one of the two
 *   record with channels    → `unfiltered` and each room that shares a channel with it: again each client in one of them
 *
 * Every client gets every record at most once by construction; no table of what has been sent.
 *
 * One owner, the shard's loop. Bound: `roomsMax` distinct sets, and a room goes with its last client; when it is reached
 * `enter` answers null and the connection is refused.
 */
export class Rooms {
	/** Clients without channels: they hear everything. */
	readonly unfiltered: Room;
	/** All clients that have channels, as one audience for records to everybody. */
	readonly filtered: Audience = { topic: "filtered", size: 0 };
	/** The result of `select`, valid until the next call. */
	readonly audiences: Audience[] = [];
	#roomsMax: number;
	readonly #bySet = new Map<string, Room>();
	readonly #byChannel = new Map<number, ChannelRooms>();
	#roomsMade = 0;
	#selection = 0;

	constructor(everybody: ChannelList, roomsMax: number) {
		this.#roomsMax = roomsMax;
		this.unfiltered = { topic: "unfiltered", size: 0, channels: everybody, selected: 0 };
	}

	/** Holds for sets that come from now on. */
	set roomsMax(value: number) {
		this.#roomsMax = value;
	}

	/** Distinct sets of channels at present. */
	get count(): number {
		return this.#bySet.size;
	}

	/** Channels at present, counted by their hashes. */
	get channelCount(): number {
		return this.#byChannel.size;
	}

	/** Counts one client in; null when there are `roomsMax` sets already and this would be another. */
	enter(channels: ChannelList): Room | null {
		if (channels.count === 0) {
			this.unfiltered.size++;
			return this.unfiltered;
		}
		const key = keyOf(channels);
		let room = this.#bySet.get(key);
		if (room === undefined) {
			if (this.#bySet.size >= this.#roomsMax) return null;
			room = { topic: `set ${++this.#roomsMade}`, size: 0, channels, selected: 0 };
			this.#bySet.set(key, room);
			this.#index(room);
		}
		room.size++;
		this.filtered.size++;
		return room;
	}

	/** Counts one client out. */
	leave(room: Room): void {
		room.size--;
		if (room === this.unfiltered) return;
		this.filtered.size--;
		if (room.size > 0) return;
		this.#bySet.delete(keyOf(room.channels));
		this.#forget(room);
	}

	/** The topics that a client of this room subscribes to. */
	topicsOf(room: Room): readonly string[] {
		return room === this.unfiltered ? [room.topic] : [room.topic, this.filtered.topic];
	}

	/** Fills `audiences` with those that get the record, disjoint and none of them empty. No allocation. */
	select(u8: Uint8Array, view: DataView, head: RecordHead): readonly Audience[] {
		const audiences = this.audiences;
		// Setting the length to 0 would give the array's memory away, and the next push ask for new: garbage for every record.
		while (audiences.length > 0) audiences.pop();
		if (this.unfiltered.size > 0) audiences.push(this.unfiltered);
		if (this.filtered.size === 0) return audiences;
		if (head.channelCount === 0) {
			audiences.push(this.filtered);
			return audiences;
		}
		const selection = ++this.#selection;
		let at = head.channelsStart;
		for (let channel = 0; channel < head.channelCount; channel++) {
			const hash = view.getUint32(at + ChannelEntry.hashOffset, true);
			for (let entry = this.#byChannel.get(hash) ?? null; entry !== null; entry = entry.next) {
				if (!channelEntryIs(u8, at, entry.name)) continue;
				for (const room of entry.rooms) {
					if (room.selected === selection) continue;
					room.selected = selection;
					audiences.push(room);
				}
			}
			at = nextChannelEntry(u8, at);
		}
		return audiences;
	}

	/** Clients that get a message of this channel; "" = one to everybody. For people, not for the hot path. */
	reach(name: string): number {
		if (name === "") return this.unfiltered.size + this.filtered.size;
		const bytes = Buffer.from(name, "utf8");
		const rooms = find(this.#byChannel.get(channelHash(bytes)), bytes)?.rooms ?? [];
		let reached = this.unfiltered.size;
		for (const room of rooms) reached += room.size;
		return reached;
	}

	#index(room: Room): void {
		for (const { hash, name } of entriesOf(room.channels)) {
			const first = this.#byChannel.get(hash);
			const entry = find(first, name);
			if (entry !== null) entry.rooms.add(room);
			else this.#byChannel.set(hash, { name, rooms: new Set([room]), next: first ?? null });
		}
	}

	#forget(room: Room): void {
		for (const { hash, name } of entriesOf(room.channels)) {
			const first = this.#byChannel.get(hash)!;
			const entry = find(first, name)!;
			entry.rooms.delete(room);
			if (entry.rooms.size > 0) continue;
			if (entry !== first) {
				let before = first;
				while (before.next !== entry) before = before.next!;
				before.next = entry.next;
			} else if (entry.next !== null) this.#byChannel.set(hash, entry.next);
			else this.#byChannel.delete(hash);
		}
	}
}

/** Equal for equal sets, whatever the order in which the client named them. JSON, because a name may hold any character. */
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

function find(first: ChannelRooms | undefined, name: Uint8Array): ChannelRooms | null {
	let entry = first ?? null;
	while (entry !== null && Buffer.compare(entry.name, name) !== 0) entry = entry.next;
	return entry;
}

import {
	channelHash,
	channelList,
	createRecordHead,
	everybody,
	RecordKind,
	readRecordHead,
	recordBytes,
	writeRecordHead,
} from "@shardcast/wire";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Room, Rooms } from "../src/rooms.ts";

/** The topics that a record for these channels is published to. */
function topicsFor(rooms: Rooms, names: readonly string[]): string[] {
	const channels = channelList(names);
	const u8 = new Uint8Array(recordBytes(channels, 0));
	const view = new DataView(u8.buffer);
	writeRecordHead(view, u8, 0, RecordKind.text, 0, 0, channels, 0);
	const head = createRecordHead();
	readRecordHead(view, 0, u8.length, head);
	return rooms.select(u8, view, head).map(({ topic }) => topic);
}

/** By search: the hashes have a key that is another in each process. Among a million names there are about a hundred such pairs. */
function twoWithOneHash(): [string, string] {
	const seen = new Map<number, string>();
	for (let index = 0; ; index++) {
		const name = `room ${index}`;
		const hash = channelHash(Buffer.from(name));
		const before = seen.get(hash);
		if (before !== undefined) return [before, name];
		seen.set(hash, name);
	}
}

const letters = fc.constantFrom("a", "b", "c", "d", "e");
const sets = fc.uniqueArray(letters, { maxLength: 4 });

describe("rooms", () => {
	it("B1: every client that is meant gets a record once, nobody else gets it, whoever else came and went", () => {
		fc.assert(
			fc.property(fc.array(fc.record({ names: sets, stays: fc.boolean() }), { maxLength: 30 }), sets, (clients, names) => {
				const rooms = new Rooms(everybody, 1000);
				const entered = clients.map((client) => ({ ...client, room: rooms.enter(channelList(client.names))! }));
				for (const { room, stays } of entered) if (!stays) rooms.leave(room);
				const published = topicsFor(rooms, names);
				for (const { names: own, stays, room } of entered) {
					if (!stays) continue;
					const received = rooms.topicsOf(room).filter((topic) => published.includes(topic)).length;
					const meant = names.length === 0 || own.length === 0 || own.some((name) => names.includes(name));
					expect(received).toBe(meant ? 1 : 0);
				}
				expect(new Set(published).size).toBe(published.length);
				const reached = rooms.audiences.reduce((sum, { size }) => sum + size, 0);
				const meant = entered.filter(
					({ stays, names: own }) => stays && (names.length === 0 || own.length === 0 || own.some((name) => names.includes(name))),
				);
				expect(reached).toBe(meant.length);
			}),
		);
	});

	it("are freed with their last client, index and all", () => {
		const rooms = new Rooms(everybody, 1000);
		const entered: Room[] = [];
		for (let round = 0; round < 3; round++)
			for (const names of [["a"], ["a", "b"], ["b", "a"], ["c"], []]) entered.push(rooms.enter(channelList(names))!);
		expect(rooms.count).toBe(3);
		expect(rooms.channelCount).toBe(3);
		for (const room of entered) rooms.leave(room);
		expect({ rooms: rooms.count, channels: rooms.channelCount }).toEqual({ rooms: 0, channels: 0 });
		expect(topicsFor(rooms, ["a"])).toEqual([]);
		expect(topicsFor(rooms, [])).toEqual([]);
	});

	it("tell channels apart whose hashes are equal", () => {
		const [one, other] = twoWithOneHash();
		for (const order of [
			[one, other],
			[other, one],
		]) {
			const rooms = new Rooms(everybody, 10);
			const entered = order.map((name) => rooms.enter(channelList([name]))!);
			expect(topicsFor(rooms, [one])).toEqual([entered[order.indexOf(one)].topic]);
			expect(topicsFor(rooms, [other])).toEqual([entered[order.indexOf(other)].topic]);
			rooms.leave(entered[0]);
			expect(topicsFor(rooms, [order[0]])).toEqual([]);
			expect(topicsFor(rooms, [order[1]])).toEqual([entered[1].topic]);
			rooms.leave(entered[1]);
			expect(rooms.channelCount).toBe(0);
		}
	});

	it("are bounded: one set too many is refused, a known set is not", () => {
		const rooms = new Rooms(everybody, 2);
		expect(rooms.enter(channelList(["a"]))).not.toBeNull();
		expect(rooms.enter(channelList(["b"]))).not.toBeNull();
		expect(rooms.enter(channelList(["c"]))).toBeNull();
		expect(rooms.enter(channelList(["a"]))).not.toBeNull();
		expect(rooms.enter(everybody)).not.toBeNull();
		expect(rooms.filtered.size).toBe(3);
	});
});

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
import type { Audience } from "../../../src/hub/audience.ts";
import { Hub } from "../../../src/hub/hub.ts";
import { type ChannelSet, ChannelSets } from "../../../src/sessions/raw/channel-sets.ts";
import type { TopicTransport } from "../../../src/transports/transport.ts";

/** Stands for each of them: only their number matters. */
const client = { subscribe: () => true } as unknown as TopicTransport;

/** The audiences of a record for these channels. */
function audiencesFor(channelSets: ChannelSets, names: readonly string[]): Audience[] {
	const channels = channelList(names);
	const u8 = new Uint8Array(recordBytes(channels, 0));
	const view = new DataView(u8.buffer);
	writeRecordHead(view, u8, 0, RecordKind.text, 0, 0, channels);
	const head = createRecordHead();
	readRecordHead(view, 0, u8.length, head);
	const audiences: Audience[] = [];
	channelSets.select(u8, view, head, audiences);
	return audiences;
}

function topicsFor(channelSets: ChannelSets, names: readonly string[]): string[] {
	return audiencesFor(channelSets, names).map(({ topic }) => topic);
}

/** A client enters the set of these channels, and subscribes to it. */
function enter(channelSets: ChannelSets, names: readonly string[]): ChannelSet {
	const channelSet = channelSets.enter(channelList(names))!;
	new Hub().subscribe(client, channelSet.audience);
	return channelSet;
}

function leave(channelSets: ChannelSets, channelSet: ChannelSet): void {
	new Hub().forget(client, channelSet.audience);
	channelSets.leave(channelSet);
}

/** The topics that a client of the set is in. */
function topicsOf(channelSet: ChannelSet): string[] {
	return [channelSet.audience, channelSet.audience.wider].flatMap((audience) => audience?.topic ?? []);
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

describe("channel sets", () => {
	it("every addressed client gets a record once and nobody else gets it, whichever clients connect and disconnect", () => {
		fc.assert(
			fc.property(fc.array(fc.record({ names: sets, stays: fc.boolean() }), { maxLength: 30 }), sets, (clients, names) => {
				const channelSets = new ChannelSets(everybody, 1000);
				const entered = clients.map((client) => ({ ...client, channelSet: enter(channelSets, client.names) }));
				for (const { channelSet, stays } of entered) if (!stays) leave(channelSets, channelSet);
				const published = topicsFor(channelSets, names);
				for (const { names: own, stays, channelSet } of entered) {
					if (!stays) continue;
					const received = topicsOf(channelSet).filter((topic) => published.includes(topic)).length;
					const meant = names.length === 0 || own.length === 0 || own.some((name) => names.includes(name));
					expect(received).toBe(meant ? 1 : 0);
				}
				expect(new Set(published).size).toBe(published.length);
				const reached = audiencesFor(channelSets, names).reduce((sum, { size }) => sum + size, 0);
				const meant = entered.filter(
					({ stays, names: own }) => stays && (names.length === 0 || own.length === 0 || own.some((name) => names.includes(name))),
				);
				expect(reached).toBe(meant.length);
			}),
		);
	});

	it("are freed with their last client, together with their index", () => {
		const channelSets = new ChannelSets(everybody, 1000);
		const entered: ChannelSet[] = [];
		for (let round = 0; round < 3; round++)
			for (const names of [["a"], ["a", "b"], ["b", "a"], ["c"], []]) entered.push(enter(channelSets, names));
		expect(channelSets.count).toBe(3);
		expect(channelSets.channelCount).toBe(3);
		for (const channelSet of entered) leave(channelSets, channelSet);
		expect({ channelSets: channelSets.count, channels: channelSets.channelCount }).toEqual({ channelSets: 0, channels: 0 });
		expect(topicsFor(channelSets, ["a"])).toEqual([]);
		expect(topicsFor(channelSets, [])).toEqual([]);
	});

	it("distinguish channels with equal hashes", { tags: ["long"] }, () => {
		const [one, other] = twoWithOneHash();
		for (const order of [
			[one, other],
			[other, one],
		]) {
			const channelSets = new ChannelSets(everybody, 10);
			const entered = order.map((name) => enter(channelSets, [name]));
			expect(topicsFor(channelSets, [one])).toEqual([entered[order.indexOf(one)].audience.topic]);
			expect(topicsFor(channelSets, [other])).toEqual([entered[order.indexOf(other)].audience.topic]);
			leave(channelSets, entered[0]);
			expect(topicsFor(channelSets, [order[0]])).toEqual([]);
			expect(topicsFor(channelSets, [order[1]])).toEqual([entered[1].audience.topic]);
			leave(channelSets, entered[1]);
			expect(channelSets.channelCount).toBe(0);
		}
	});

	it("are limited: one set too many is refused, an existing one is not", () => {
		const channelSets = new ChannelSets(everybody, 2);
		expect(channelSets.enter(channelList(["a"]))).not.toBeNull();
		expect(channelSets.enter(channelList(["b"]))).not.toBeNull();
		expect(channelSets.enter(channelList(["c"]))).toBeNull();
		expect(channelSets.enter(channelList(["a"]))).not.toBeNull();
		expect(channelSets.enter(everybody)).not.toBeNull();
		expect(channelSets.count).toBe(2);
	});
});

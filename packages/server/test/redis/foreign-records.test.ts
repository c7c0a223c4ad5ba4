import { MemoryBus } from "@shardcast/bus";
import { defaultConfig } from "@shardcast/config";
import { IncomingMessages } from "@shardcast/redis-broker";
import {
	channelList,
	encodeExtensions,
	encodePublisherInfo,
	everybody,
	noExtensions,
	RecordKind,
	RecordType,
	recordBytes,
	writeRecord,
} from "@shardcast/wire";
import fc from "fast-check";
import { expect, it } from "vitest";
import { FanOut } from "../../src/delivery/fan-out.ts";
import { ChannelRecords } from "../../src/redis/channel-records.ts";
import { Notices } from "../../src/redis/notices.ts";
import { DirectMessages } from "../../src/sessions/direct-messages.ts";
import { CentrifugeRig } from "../support/centrifuge-rig.ts";

const who = encodePublisherInfo({ user: "ann", client: "c-1", connInfo: Buffer.from('{"name":"Ann"}') });
const tagged = encodeExtensions({ tags: { room: "a" }, info: who });
const notice = '[["news",{"offset":7,"epoch":"17fzqn2-14tudl"}]]';
const samples = [
	record(RecordType.publication, ["news"], '{"a":1}', tagged),
	record(RecordType.publication, [], "to all raw clients"),
	record(RecordType.urgent, ["news", "other"], "1"),
	record(RecordType.join, ["news"], who),
	record(RecordType.leave, ["news"], who),
	record(RecordType.direct, ["ann"], '{"type":"call"}'),
	record(RecordType.urgentDirect, [], "[1]"),
	record(RecordType.noticed, [], notice),
	record(RecordType.noticed, [], "[]"),
];

function record(type: number, names: readonly string[], payload: string | Uint8Array, extensions: Uint8Array = noExtensions): Buffer {
	const channels = names.length === 0 ? everybody : channelList(names);
	const data = Buffer.from(payload);
	const u8 = Buffer.alloc(recordBytes(channels, data.length + extensions.length));
	const view = new DataView(u8.buffer, u8.byteOffset);
	const fields = {
		type: type as 1,
		kind: RecordKind.text,
		targetSlot: null,
		sender: 0,
		senderShard: 0,
		publishedMs: 0,
		channels,
		extensions,
	};
	u8.set(data, writeRecord(view, u8, 0, fields));
	return u8;
}

/** As another node, or any program that can publish to Redis, sends it. */
function batchOf(bytes: Uint8Array): Buffer {
	const head = Buffer.alloc(20);
	head[0] = 1;
	head.writeInt32LE(7, 4);
	head.writeUInt32LE(bytes.length, 16);
	return Buffer.concat([head, bytes]);
}

/** A shard of a node, with what it does with records of other nodes. */
function start() {
	const { channelWithoutNamespace: plain } = defaultConfig();
	const rig = new CentrifugeRig({ channelWithoutNamespace: { ...plain, joinLeave: true, forcePushJoinLeave: true } });
	const client = rig.connected();
	client.send({ subscribe: { channel: "news" }, id: 2 });
	client.replies();
	const bus = new MemoryBus({ members: 1, capacityBytes: 65_536 }).link(0);
	const incoming = new IncomingMessages({ ring: bus, onCommit: () => {}, onUrgent: () => {}, node: { id0: 1, id1: 2 } });
	const wanted: string[] = [];
	const notices = new Notices({
		records: { send: () => true },
		listeners: { want: () => true, version: () => 0 },
		want: (channel, { offset, epoch }) => wanted.push(`${channel} ${offset} ${epoch}`),
		nowMs: () => 0,
	});
	const all = () => rig.sessions.all;
	const direct = new DirectMessages({ all, ofUser: all });
	const fanOut = new FanOut({
		...{ member: 0, life: 1, hub: rig.hub, topics: rig.topics, logged: null, counters: rig.row },
		senders: { find: () => undefined },
		console: { watching: false, onRecord: () => {} },
		onClientFrames: () => {},
		onGaps: () => {},
		direct: (user, payload) => direct.deliver(user, payload),
		onChannelRecord: (type, _origin, payload) => notices.received(ChannelRecords.read(type as typeof RecordType.noticed, payload)),
	});
	return {
		incoming,
		wanted,
		/** @returns the messages that the client has got; it reads only JSON. */
		take: (bytes: Uint8Array) => {
			incoming.take(batchOf(bytes));
			bus.read(100, fanOut.deliver);
			return client.replies();
		},
	};
}

it("records of other nodes reach the clients, and announced channels are followed", () => {
	const { take, incoming, wanted } = start();
	expect(samples.map((sample) => take(sample).length)).toEqual([1, 0, 1, 1, 1, 1, 1, 0, 0]);
	expect(wanted).toEqual(["news 6 17fzqn2-14tudl"]);
	expect(incoming.counts).toMatchObject({ messages: samples.length, unreadable: 0 });
});

it.each<readonly [what: string, bytes: Buffer]>([
	["an extension that is cut off", record(RecordType.publication, ["news"], "1", Uint8Array.of(3, 1, 0))],
	["tags that are no object", record(RecordType.publication, ["news"], "1", Uint8Array.of(3, 1, 0, 0x37))],
	["a publisher that is cut off", record(RecordType.urgent, ["news"], "1", encodeExtensions({ info: who.subarray(0, 5) }))],
	[
		"a publisher whose info is no JSON",
		record(
			RecordType.publication,
			["news"],
			"1",
			encodeExtensions({ info: encodePublisherInfo({ user: "", client: "", connInfo: Buffer.from("{") }) }),
		),
	],
	["a join of nobody", record(RecordType.join, ["news"], "")],
	["a leave with a length beyond its end", record(RecordType.leave, ["news"], Uint8Array.of(255, 255, 1))],
	["a direct message that is no JSON", record(RecordType.direct, ["ann"], "{")],
	["a direct message that is no text", record(RecordType.urgentDirect, [], Uint8Array.of(0x22, 0xff, 0x22))],
	...["{", "null", "{}", '["news"]', '[["news"]]', '[["news",7]]', '[["",{"offset":1,"epoch":"17fzqn2-14tudl"}]]'].map(
		(text) => [`the announcement ${text}`, record(RecordType.noticed, [], text)] as const,
	),
	["the announcement of an epoch that no channel has", record(RecordType.noticed, [], notice.replace("17fzqn2-14tudl", "x"))],
	["the announcement of a broken offset", record(RecordType.noticed, [], notice.replace("7", "7.5"))],
	["more announcements than a node sends", record(RecordType.noticed, [], `[${Array(65).fill(notice.slice(1, -1))}]`)],
])("%s is counted, and reaches no shard", (_what, bytes) => {
	const { take, incoming, wanted } = start();
	expect(take(bytes)).toEqual([]);
	expect(wanted).toEqual([]);
	expect(incoming.counts).toMatchObject({ messages: 0, unreadable: 1 });
});

it("whatever is changed in such a record, no shard ends, and no client gets what it cannot read", { tags: ["long"] }, () => {
	const { take } = start();
	const change = fc.record({
		at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
		to: fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 255)),
	});
	fc.assert(
		fc.property(
			fc.constantFrom(...samples),
			fc.array(change, { minLength: 1, maxLength: 4 }),
			fc.boolean(),
			fc.nat(200),
			(sample, changes, cuts, end) => {
				const bytes = Buffer.from(sample);
				for (const { at, to } of changes) bytes[Math.floor(at * bytes.length)] = to;
				take(cuts ? bytes.subarray(0, end) : bytes);
			},
		),
		{ numRuns: 3000 },
	);
});

import { defaultConfig } from "@shardcast/config";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DeliveredRecord } from "../../../src/delivery/delivered-record.ts";
import { SharedFrame } from "../../../src/delivery/shared-frame.ts";
import { Audience } from "../../../src/hub/audience.ts";
import { LaggingClients } from "../../../src/pacing/lagging-clients.ts";
import { Lane, partBytes } from "../../../src/sessions/lanes/lane.ts";
import { LaneMemory } from "../../../src/sessions/lanes/lane-memory.ts";
import { LaneItem, LaneQueue, type LaneRule } from "../../../src/sessions/lanes/lane-queue.ts";
import { Sent, type TopicTransport } from "../../../src/transports/transport.ts";
import type { CentrifugeClient } from "../../support/centrifuge-rig.ts";
import { FakeTransport } from "../../support/fake-transport.ts";
import { ShardRig } from "../../support/shard-rig.ts";

const bufferedBytesMax = 100_000;
const rules = {
	oldest: { of: "oldest", policy: "drop-oldest", keyTag: "", recovers: false },
	latest: { of: "latest", policy: "keep-latest", keyTag: "key", recovers: false },
	recovers: { of: "recovers", policy: "drop-oldest", keyTag: "", recovers: true },
	recoversLatest: { of: "recoversLatest", policy: "keep-latest", keyTag: "key", recovers: true },
	strict: { of: "strict", policy: "disconnect", keyTag: "", recovers: false },
} as const satisfies Record<string, LaneRule>;
type Kind = keyof typeof rules;

/** A WebSocket whose client reads when it is told to. */
class SlowSocket implements TopicTransport {
	readonly got: string[] = [];
	most = 0;
	#waiting: { readonly text: string; readonly bytes: number }[] = [];
	#parts: Buffer[] | null = null;

	send(message: string | Uint8Array): Sent {
		if (this.#parts !== null) throw new Error("a message between the parts of another one");
		return this.#wait(Buffer.from(message as Uint8Array).toString(), message.length);
	}

	sendFirstFragment(part: Uint8Array): Sent {
		this.#parts = [Buffer.from(part)];
		return this.#wait("", part.length);
	}

	sendFragment(part: Uint8Array): Sent {
		this.#parts!.push(Buffer.from(part));
		return this.#wait("", part.length);
	}

	sendLastFragment(part: Uint8Array): Sent {
		const text = Buffer.concat([...this.#parts!, part]).toString();
		this.#parts = null;
		return this.#wait(text, part.length);
	}

	getBufferedAmount(): number {
		return this.#waiting.reduce((sum, { bytes }) => sum + bytes, 0);
	}

	/** The client reads this many messages, or parts of one. */
	read(count: number): void {
		for (const { text } of this.#waiting.splice(0, count)) if (text !== "") this.got.push(text);
	}

	#wait(text: string, bytes: number): Sent {
		this.#waiting.push({ text, bytes });
		this.most = Math.max(this.most, this.getBufferedAmount());
		return Sent.buffered;
	}

	subscribe = () => true;
	unsubscribe = () => true;
	publish = () => true;
	end = () => {};
	close = () => {};
	getRemoteAddressAsText = () => new ArrayBuffer(0);
}

class Rig {
	readonly socket = new SlowSocket();
	readonly counts = { laneDropsOldest: 0, laneDropsReplaced: 0, laneGaps: 0 } as Record<string, number>;
	gaps: LaneRule[] = [];
	closed = 0;
	readonly memory = new LaneMemory();
	readonly lane: Lane;
	readonly #audiences = Object.fromEntries(
		Object.keys(rules).map((kind) => [kind, new Audience(kind, { subscriptions: 0 } as never)]),
	) as Record<Kind, Audience>;

	constructor() {
		const owner = {
			leaving: 0,
			bufferedBytesMax,
			laneRule: ({ topic }: Audience) => rules[topic as Kind],
			laneChannel: () => "",
			laneGap: (rule: LaneRule) => this.gaps.push(rule),
			dropped: () => {
				owner.leaving = 3008;
				this.closed++;
			},
		};
		const counters = { add: (name: string, by: number) => (this.counts[name] += by) };
		this.lane = new Lane(this.socket, owner, counters as never, this.memory, "slow");
	}

	publish(kind: Kind, text: string, key?: string): void {
		const bytes = Buffer.from(text);
		const tags = key === undefined ? null : new Map([["key", key]]);
		const record = { tags, copyOf: (frame: Uint8Array) => new SharedFrame(Uint8Array.from(frame)) } as DeliveredRecord;
		this.lane.deliver(bytes, false, this.#audiences[kind], record);
		// The ring goes on.
		bytes.fill(0);
	}

	read(count: number): void {
		this.socket.read(count);
		this.lane.pump();
	}

	readAll(): void {
		while (!this.lane.isDone || this.socket.getBufferedAmount() > 0) this.read(1);
	}
}

const text = (kind: string, number: number, bytes: number, key = ""): string =>
	`${kind} ${number} ${key} `.padEnd(Math.max(24, bytes), ".");
const numbersOf = (got: readonly string[], kind: string): number[] =>
	got.filter((each) => each.startsWith(`${kind} `)).map((each) => Number(each.split(" ")[1]));
const rising = (numbers: readonly number[]): boolean => numbers.every((number, index) => index === 0 || number > numbers[index - 1]);

describe("Lane", () => {
	it("drops the oldest first, and stays within its limit", () => {
		const rig = new Rig();
		for (let number = 0; number < 30; number++) rig.publish("oldest", text("oldest", number, 10_000));
		expect(rig.lane.getBufferedAmount()).toBeLessThanOrEqual(bufferedBytesMax);
		rig.lane.pump();
		rig.readAll();
		expect(numbersOf(rig.socket.got, "oldest")).toEqual([20, 21, 22, 23, 24, 25, 26, 27, 28, 29]);
		expect(rig.counts.laneDropsOldest).toBe(20);
	});

	it("keeps the newest of each key; publications without a key share one", () => {
		const rig = new Rig();
		for (let number = 0; number < 9; number++)
			rig.publish("latest", text("latest", number, 0), number % 3 === 2 ? undefined : `k${number % 3}`);
		rig.lane.pump();
		rig.readAll();
		expect(numbersOf(rig.socket.got, "latest")).toEqual([6, 7, 8]);
		expect(rig.counts.laneDropsReplaced).toBe(6);
	});

	it("distinguishes publications without the tag from those with an empty tag", () => {
		const rig = new Rig();
		for (let number = 0; number < 4; number++) rig.publish("latest", text("latest", number, 0), number % 2 === 0 ? undefined : "");
		rig.lane.pump();
		rig.readAll();
		expect(numbersOf(rig.socket.got, "latest")).toEqual([2, 3]);
		expect(rig.counts.laneDropsReplaced).toBe(2);
	});

	it("drops the oldest key when the newest of all keys do not fit", () => {
		const rig = new Rig();
		for (let number = 0; number < 12; number++) rig.publish("latest", text("latest", number, 20_000), `k${number % 6}`);
		rig.lane.pump();
		rig.readAll();
		expect(numbersOf(rig.socket.got, "latest")).toEqual([7, 8, 9, 10, 11]);
		expect(rig.counts).toEqual({ laneDropsOldest: 7, laneDropsReplaced: 0, laneGaps: 0 });
	});

	it("replaces nothing of a subscription with recovery: it gets everything, or has a gap and ends", () => {
		const rig = new Rig();
		for (let number = 0; number < 9; number++) rig.publish("recoversLatest", text("recoversLatest", number, 0), "k");
		rig.lane.pump();
		rig.readAll();
		expect(numbersOf(rig.socket.got, "recoversLatest")).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
		expect(rig.counts).toEqual({ laneDropsOldest: 0, laneDropsReplaced: 0, laneGaps: 0 });
		for (let number = 9; number < 30; number++) rig.publish("recoversLatest", text("recoversLatest", number, 10_000), "k");
		expect(rig.gaps).toEqual([rules.recoversLatest]);
	});

	it("ends a subscription with recovery once, instead of dropping silently, and gives it nothing until it is forgotten", () => {
		const rig = new Rig();
		for (let number = 0; number < 30; number++) rig.publish("recovers", text("recovers", number, 10_000));
		expect(rig.gaps).toEqual([rules.recovers]);
		rig.lane.pump();
		rig.readAll();
		expect(numbersOf(rig.socket.got, "recovers")).toEqual([]);
		rig.lane.forget(rules.recovers);
		rig.publish("recovers", text("recovers", 30, 0));
		rig.readAll();
		expect(numbersOf(rig.socket.got, "recovers")).toEqual([30]);
	});

	it("closes the client when nothing may be dropped; nothing follows the gap", () => {
		const rig = new Rig();
		for (let number = 0; number < 30; number++) rig.publish("strict", text("strict", number, 10_000));
		expect(rig.closed).toBe(1);
		rig.lane.pump();
		rig.readAll();
		const got = numbersOf(rig.socket.got, "strict");
		expect(got).toEqual(Array.from(got, (_, index) => index));
	});

	it("keeps order, silent gaps only where allowed, all replies, and bounded memory, whatever arrives and however it is read", {
		tags: ["long"],
	}, () => {
		const publication = fc.record({
			kind: fc.constantFrom<Kind>("oldest", "latest", "recovers"),
			bytes: fc.integer({ min: 0, max: 40_000 }),
			key: fc.option(fc.constantFrom("a", "b"), { nil: undefined }),
		});
		const step = fc.oneof(
			{ weight: 6, arbitrary: publication },
			{ weight: 2, arbitrary: fc.record({ reply: fc.integer({ min: 0, max: 60_000 }) }) },
			{ weight: 3, arbitrary: fc.record({ read: fc.integer({ min: 1, max: 5 }) }) },
		);
		fc.assert(
			fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
				const rig = new Rig();
				const newest = new Map<string, number>();
				let sent = 0;
				let replies = 0;
				let bytesOfReplies = 0;
				for (const each of steps) {
					if ("kind" in each) {
						const { kind, bytes, key } = each;
						rig.publish(kind, text(kind, sent, bytes, key), key);
						if (kind === "latest") newest.set(key ?? "", sent);
						sent++;
						// One publication more: the newest is kept.
						const held = rig.lane.getBufferedAmount() - bytesOfReplies;
						if (held > bufferedBytesMax + 40_000) expect.fail(`${held} bytes of publications in the lane`);
					} else if ("reply" in each) {
						const reply = Buffer.from(text("reply", replies++, each.reply));
						bytesOfReplies += Math.max(128, reply.length);
						rig.lane.give(reply, false);
						if (rig.closed > 0) return;
					} else rig.read(each.read);
				}
				expect(rig.closed).toBe(0);
				rig.readAll();
				expect(rig.memory).toMatchObject({ replyBytes: 0, bytes: 0, messages: 0 });
				const { got, most } = rig.socket;
				expect(numbersOf(got, "reply")).toEqual(Array.from({ length: replies }, (_, index) => index));
				for (const kind of ["oldest", "latest", "recovers"]) expect(rising(numbersOf(got, kind))).toBe(true);
				if (rig.counts.laneDropsOldest === 0) {
					const latest = new Set(numbersOf(got, "latest"));
					expect([...newest.values()].filter((number) => !latest.has(number))).toEqual([]);
				}
				const recovering = steps.flatMap((each, index) => ("kind" in each && each.kind === "recovers" ? [index] : [])).length;
				if (rig.gaps.length === 0) expect(numbersOf(got, "recovers")).toHaveLength(recovering);
				// One message or part more than the transport holds when the next one goes out.
				expect(most).toBeLessThanOrEqual(16 * 1024 + partBytes);
			}),
			{ numRuns: 300 },
		);
	});
});

describe("the queue of a lane", () => {
	it("is limited in number: empty messages take memory as well", () => {
		const rig = new Rig();
		for (let number = 0; number < 5000; number++) rig.publish("oldest", "");
		expect(rig.counts.laneDropsOldest, "publications dropped of 5,000 without bytes, where 100,000 bytes may wait").toBeGreaterThan(4000);
		expect(rig.lane.getBufferedAmount()).toBeLessThanOrEqual(bufferedBytesMax);
		const replies = new Rig();
		// The first one goes to the transport, which takes 16 KiB.
		for (let number = 0; number < 5000; number++) replies.lane.send("", false);
		expect(replies.closed, "closed because of 5,000 replies without bytes").toBe(1);
	});

	it("finds the oldest publication without iterating over those that must not be dropped", () => {
		const queue = new LaneQueue(new LaneMemory());
		const add = (rule: LaneRule) => {
			let looks = 0;
			const item = new LaneItem(new SharedFrame(new Uint8Array(1)), false, rule, null);
			// Counts who looks at it.
			Object.defineProperty(item, "rule", {
				get: () => {
					looks++;
					return rule;
				},
			});
			queue.add(item);
			const added = looks;
			return () => looks - added;
		};
		const looks = Array.from({ length: 1000 }, () => add(rules.strict));
		for (let number = 0; number < 10; number++) {
			add(rules.oldest);
			queue.remove(queue.oldest()!);
		}
		expect(
			looks.reduce((sum, each) => sum + each(), 0),
			"looks at publications that may not be dropped",
		).toBe(0);
		expect(queue.oldest()).toBeUndefined();
	});
});

describe("a client whose publications may not be dropped", () => {
	const { channelWithoutNamespace: plain } = defaultConfig();
	const filler = `"${"x".repeat(5000)}"`;
	const publish = (rig: ShardRig) => {
		rig.send("strict", filler);
		rig.lanes.published(filler.length);
		rig.lanes.beforeTurn();
	};
	function client(): { rig: ShardRig; client: CentrifugeClient } {
		const rig = new ShardRig({ channelWithoutNamespace: { ...plain, slowClient: "disconnect" } });
		const subscribed = rig.connected();
		subscribed.send({ subscribe: { channel: "strict" }, id: 2 });
		subscribed.replies();
		subscribed.session.bufferedBytesMax = FakeTransport.bufferedBytesMax;
		return { rig, client: subscribed };
	}

	it("moves to a lane when it has read nothing for 250 ms, and gets all there is when it reads again", () => {
		const { rig, client: slow } = client();
		slow.transport.peer.pause();
		for (let number = 0; number < 4; number++) publish(rig);
		expect(rig.lanes.count, "clients in a lane at once").toBe(0);
		rig.pass(249);
		publish(rig);
		expect(rig.lanes.count, "before 250 ms").toBe(0);
		rig.pass(1);
		publish(rig);
		expect(rig.lanes.count, "after 250 ms").toBe(1);
		publish(rig);
		slow.transport.peer.resume();
		expect(slow.replies()).toHaveLength(7);
		expect(rig.lanes.count).toBe(0);
	});

	it.each([
		["when it has unsubscribed from the channels that let publications be dropped", false],
		["when its channels do not let publications be dropped any more", true],
	])("waits for 250 ms as well %s", (_, isReload) => {
		const loose = { ...plain, name: "loose", slowClient: "drop-oldest" } as const;
		const settings = { channelWithoutNamespace: { ...plain, slowClient: "disconnect" }, channelNamespaces: [loose] } as const;
		const rig = new ShardRig(settings);
		const slow = rig.connected();
		slow.send({ subscribe: { channel: "strict" }, id: 2 });
		slow.send({ subscribe: { channel: "loose:a" }, id: 3 });
		slow.session.bufferedBytesMax = FakeTransport.bufferedBytesMax;
		if (isReload) rig.reload({ channelNamespaces: [{ ...loose, slowClient: "disconnect" }] });
		else slow.send({ unsubscribe: { channel: "loose:a" }, id: 4 });
		slow.transport.peer.pause();
		for (let number = 0; number < 4; number++) publish(rig);
		expect(rig.lanes.count, "clients in a lane at once").toBe(0);
		slow.send({ subscribe: { channel: "loose:b" }, id: 5 });
		if (isReload) rig.reload(settings);
		publish(rig);
		expect(rig.lanes.count, "when it has such a subscription again").toBe(1);
	});

	it("stays in its topics when the process stood still, and could not notice that it reads", () => {
		const { rig, client: fast } = client();
		fast.transport.peer.pause();
		for (let number = 0; number < 4; number++) publish(rig);
		rig.nowMs += 60_000;
		publish(rig);
		expect(rig.lanes.count, "as soon as the process goes on").toBe(0);
		fast.transport.peer.resume();
		fast.transport.peer.pause();
		for (let number = 0; number < 4; number++) publish(rig);
		rig.pass(249);
		publish(rig);
		expect(rig.lanes.count).toBe(0);
		rig.pass(1);
		publish(rig);
		expect(rig.lanes.count, "when it reads nothing").toBe(1);
	});

	it("stays in its topics while it reads, however much it has unread", () => {
		const { rig, client: fast } = client();
		for (let number = 0; number < 20; number++) {
			fast.transport.peer.pause();
			for (let more = 0; more < 4; more++) publish(rig);
			expect(rig.lanes.count).toBe(0);
			rig.pass(200);
			fast.transport.peer.resume();
		}
		expect(fast.replies()).toHaveLength(80);
	});

	it("is closed when it reads nothing until its limit", () => {
		const { rig, client: slow } = client();
		slow.transport.peer.pause();
		for (let number = 0; number < 5; number++) {
			rig.pass(250);
			publish(rig);
		}
		expect(rig.lanes.count).toBe(1);
		for (let number = 0; number < FakeTransport.bufferedBytesMax / filler.length; number++) publish(rig);
		expect(slow.session.leaving).toBe(3008);
	});

	it("counts as one that drops by itself as soon as one of its channels lets publications be dropped", () => {
		const { rig, client: slow } = client();
		slow.transport.peer.pause();
		for (let number = 0; number < 5; number++) {
			rig.pass(250);
			publish(rig);
		}
		expect(rig.lanes.shrink(0), "something of a stalled client is dropped").toBe(false);
		rig.reload({ channelWithoutNamespace: { ...plain, slowClient: "drop-oldest" } });
		slow.send({ subscribe: { channel: "another" }, id: 3 });
		for (let number = 0; number < 6; number++) rig.send("another", filler);
		const lagging = new LaggingClients(() => FakeTransport.bufferedBytesMax);
		expect(lagging.look([slow.session], 0), "clients that delivery waits for").toBe(0);
		expect(rig.lanes.shrink(3 * filler.length)).toBe(true);
		expect(rig.lanes.shrink(3 * filler.length), "once more").toBe(false);
		expect([slow.session.leaving, rig.row.get("laneDropsMemory") > 0]).toEqual([0, true]);
	});
});

describe("keep-latest in a lane", () => {
	const { channelWithoutNamespace: plain } = defaultConfig();
	const latest = { ...plain, slowClient: "keep-latest", allowWildcard: true, joinLeave: true, forcePushJoinLeave: true } as const;
	const filler = `"${"x".repeat(5000)}"`;

	/** A client with this subscription that has stopped reading and is in a lane. */
	function slowClient(rig: ShardRig, channel: string): CentrifugeClient {
		const client = rig.connected();
		client.send({ subscribe: { channel, flag: 1 }, id: 2 });
		rig.deliverJoins();
		client.replies();
		client.session.bufferedBytesMax = FakeTransport.bufferedBytesMax;
		client.transport.peer.pause();
		for (let number = 0; number < 5; number++) {
			rig.send(channel.replace("*", "filler"), filler);
			rig.lanes.published(filler.length);
		}
		rig.lanes.beforeTurn();
		expect(rig.lanes.count, "clients in a lane").toBe(1);
		return client;
	}

	/** Publications without the filler, joins and leaves. */
	function read(client: CentrifugeClient): string[] {
		client.transport.peer.resume();
		return client
			.replies()
			.map((each) => JSON.stringify(each))
			.filter((each) => !each.includes("xxx"))
			.map((each) => {
				const { push } = JSON.parse(each) as { push: { pub?: { data: string; channel?: string }; join?: object } };
				return push.pub ? `${push.pub.channel ?? ""}=${push.pub.data}` : push.join ? "join" : "leave";
			});
	}

	it("does not replace the newest publication by a join or leave, nor the reverse", () => {
		const rig = new ShardRig({ channelWithoutNamespace: latest });
		const slow = slowClient(rig, "a");
		rig.send("a", "1");
		rig.send("a", "2");
		const other = rig.connected();
		other.send({ subscribe: { channel: "a" }, id: 2 });
		rig.deliverJoins();
		other.send({ unsubscribe: { channel: "a" }, id: 3 });
		rig.deliverJoins();
		expect(read(slow)).toEqual(["=2", "join", "leave"]);
	});

	it("keeps the newest of each channel that a pattern matches", () => {
		const rig = new ShardRig({ channelWithoutNamespace: latest });
		const slow = slowClient(rig, "BTC.*");
		for (const number of ["1", "2"]) for (const channel of ["BTC.trade", "BTC.book", "BTC.fees"]) rig.send(channel, number);
		expect(read(slow)).toEqual(["BTC.trade=2", "BTC.book=2", "BTC.fees=2"]);
	});
});

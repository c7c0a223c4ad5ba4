import { ChannelLog, createLogRecordHead, type LogReader } from "@shardcast/channel-log";
import type { Redis } from "@shardcast/redis";
import { redisForTests } from "@shardcast/testkit";
import { channelNameAt, createRecordHead, readRecordHead } from "@shardcast/wire";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { FeedCounts, Feeder, type FeederParts } from "../src/feed/feeder.ts";
import type { RedisBroker } from "../src/redis-broker.ts";
import { encodePublication } from "../src/stored-publication.ts";
import { newNodeId, RedisRig } from "./redis-rig.ts";

const limits = { size: 1000, ttlMs: 60_000, metaTtlMs: 600_000 };

/** A node: its logs, what its clients were given, and its feeders. */
class Node {
	readonly log = ChannelLog.inMemory({ memoryBytes: 8 * 65_536 });
	readonly reader: LogReader = this.log.reader(0);
	readonly id = newNodeId();
	readonly counts = new FeedCounts();
	readonly delivered: string[] = [];
	readonly reached: string[] = [];
	readonly restarted: string[] = [];
	readonly redis: Redis;
	readonly broker: RedisBroker;
	readonly #feeders: Feeder[] = [];
	nowMs = 0;

	constructor(redis: Redis, broker: RedisBroker) {
		this.redis = redis;
		this.broker = broker;
	}

	feeder(redis: FeederParts["redis"] = this.redis, broker: FeederParts["broker"] = this.broker): Feeder {
		const feeder = new Feeder({
			...{ redis, broker, node: this.id, log: this.log, limitsOf: () => limits, counts: this.counts },
			reached: (channel, { offset }) => this.reached.push(`${channel}@${offset}`),
			restarted: (channel) => this.restarted.push(channel),
			nowMs: () => this.nowMs,
		});
		this.#feeders.push(feeder);
		return feeder;
	}

	async publish(channel: string, data: string, history = limits): Promise<void> {
		const result = await this.broker.publish(channel, Buffer.from(data), { history });
		expect(result, `publishing ${data} to ${channel}`).toMatchObject({ outcome: "accepted" });
	}

	/** Follows a channel whose first publication clients have got, as "1:a". */
	async follows(channel: string): Promise<Feeder> {
		const feeder = this.feeder();
		feeder.follow(channel);
		await this.isReached(`${channel}@0`);
		await this.publish(channel, "a");
		await this.gets("1:a");
		return feeder;
	}

	/** Ends a feeder as when its shard has died. */
	async end(feeder: Feeder, channel: string): Promise<void> {
		feeder.stop();
		await this.redis.unsubscribe(this.broker.keys.topic(channel));
	}

	/** What clients have got so far, as "offset:data", and where they were told that publications are lost, as "offset:gap in channel". */
	read(): readonly string[] {
		const head = createRecordHead();
		const logged = createLogRecordHead();
		this.reader.read(10_000, (_origin, u8, view, start, end) => {
			readRecordHead(view, start, end, head);
			this.reader.current(logged);
			const payload = Buffer.from(u8.subarray(head.payloadStart, head.payloadEnd)).toString();
			if (channelNameAt(u8, head.channelsStart) !== "\0") this.delivered.push(`${logged.offset}:${payload}`);
			else if (payload !== "") this.delivered.push(`${logged.offset}:gap in ${payload}`);
		});
		return this.delivered;
	}

	async gets(...expected: string[]): Promise<void> {
		await vi.waitFor(() => expect(this.read(), "what clients got").toEqual(expected), { timeout: 8000, interval: 2 });
	}

	async isReached(text: string): Promise<void> {
		await vi.waitFor(() => expect(this.reached, "channels that the log is up to date for").toContain(text), { timeout: 8000, interval: 2 });
	}

	stop(): void {
		for (const feeder of this.#feeders) feeder.stop();
	}
}

const short = { ...limits, size: 10 };

/** The two ways by which publications come, which the test can hold back. */
class SlowWays {
	readonly redis: FeederParts["redis"];
	readonly broker: FeederParts["broker"];
	loses = false;
	dropped = 0;
	#held: (() => void)[] | null = null;
	#mayRead: Promise<void> = Promise.resolve();
	releaseReads: () => void = () => {};

	constructor({ redis, broker }: Node) {
		this.redis = {
			state: "ready",
			unsubscribe: (name) => redis.unsubscribe(name),
			onRestored: () => () => {},
			subscribe: (name, listener, options) =>
				redis.subscribe(
					name,
					(message) => {
						if (this.#held !== null) this.#held.push(() => listener(message));
						else if (this.loses) this.dropped++;
						else listener(message);
					},
					options,
				),
		};
		const read: RedisBroker["read"] = async (...args) => {
			await this.#mayRead;
			return broker.read(...args);
		};
		this.broker = { read, decode: (bytes) => broker.decode(bytes), keys: broker.keys };
	}

	holdReads(): void {
		this.#mayRead = new Promise((resolve) => {
			this.releaseReads = resolve;
		});
	}

	holdMessages(): void {
		this.#held = [];
	}

	releaseMessages(): void {
		const held = this.#held ?? [];
		this.#held = null;
		for (const deliver of held) deliver();
	}
}

describe.skipIf(!redisForTests())("Feeder", () => {
	let rig: RedisRig;
	let admin: Redis;
	beforeAll(async () => {
		rig = await RedisRig.start();
		admin = await rig.client();
	});
	afterAll(() => rig?.stop());

	async function withNode(test: (node: Node, channel: string) => Promise<void>): Promise<void> {
		const redis = await rig.client();
		const node = new Node(redis, await rig.broker({ redis }));
		try {
			await test(node, rig.channel());
		} finally {
			node.stop();
			redis.close();
		}
	}

	it("brings what is published from now on, once and in order, and not what was before", () =>
		withNode(async (node, channel) => {
			await node.publish(channel, "old");
			const feeder = node.feeder();
			feeder.follow(channel);
			await node.isReached(`${channel}@1`);
			expect(node.log.position(channel)).toEqual(await node.broker.position(channel));
			await Promise.all(["a", "b", "c"].map((data) => node.publish(channel, data)));
			// Nobody is subscribed yet.
			await node.gets(`1:gap in ${channel}`, "2:a", "3:b", "4:c");
			expect(node.counts.brought).toBe(3);
		}));

	it("begins behind a given position, if the log does not know the channel", () =>
		withNode(async (node, channel) => {
			for (const data of ["a", "b", "c"]) await node.publish(channel, data);
			const { epoch } = (await node.broker.position(channel))!;
			node.feeder().follow(channel, { offset: 1, epoch });
			await node.gets(`1:gap in ${channel}`, "2:b", "3:c");
			expect(node.restarted).toEqual([]);
		}));

	it("two feeders of one log bring each publication once", () =>
		withNode(async (node, channel) => {
			const other = await rig.client();
			node.feeder().follow(channel);
			node.feeder(other).follow(channel);
			await vi.waitFor(() => expect(node.reached.length).toBe(2), { timeout: 8000 });
			const expected = Array.from({ length: 300 }, (_, index) => `${index + 1}:${index}`);
			await Promise.all(expected.map((_, index) => node.publish(channel, String(index))));
			await node.gets(...expected);
			other.close();
		}));

	it("what pub/sub loses is read from the stream: at the next publication, or at a look", () =>
		withNode(async (node, channel) => {
			const slow = new SlowWays(node);
			const feeder = node.feeder(slow.redis);
			feeder.follow(channel);
			await node.isReached(`${channel}@0`);
			slow.loses = true;
			await node.publish(channel, "a");
			await node.publish(channel, "b");
			slow.loses = false;
			await node.publish(channel, "c");
			await node.gets("1:a", "2:b", "3:c");
			slow.loses = true;
			await node.publish(channel, "d");
			for (let second = 0; second < 10; second++) feeder.everySecond();
			await node.gets("1:a", "2:b", "3:c", "4:d");
			expect(node.restarted).toEqual([]);
		}));

	it.each([
		["before", false],
		["after", true],
	])(
		"a burst longer than the history, while the stream is read: nothing is lost if pub/sub delivers it %s the stream's answer",
		(_when, isLate) =>
			withNode(async (node, channel) => {
				const slow = new SlowWays(node);
				const feeder = node.feeder(slow.redis, slow.broker);
				feeder.follow(channel);
				await node.isReached(`${channel}@0`);
				slow.holdReads();
				for (let second = 0; second < 10; second++) feeder.everySecond();
				if (isLate) slow.holdMessages();
				const expected = Array.from({ length: 1000 }, (_, index) => `${index + 1}:${index}`);
				await Promise.all(expected.map((_, index) => node.publish(channel, String(index), short)));
				const { reads } = node.counts;
				slow.releaseReads();
				await vi.waitFor(() => expect(node.counts.reads, "reads of the stream").toBeGreaterThan(reads), { timeout: 8000, interval: 1 });
				slow.releaseMessages();
				await node.gets(...expected);
				expect(node.restarted).toEqual([]);
				expect(node.counts).toMatchObject({ lost: 0, brought: 1000 });
			}),
	);

	it("if pub/sub loses one that the short history no longer has, that one is lost and told, and none of those that came", () =>
		withNode(async (node, channel) => {
			const slow = new SlowWays(node);
			node.feeder(slow.redis, slow.broker).follow(channel);
			await node.isReached(`${channel}@0`);
			slow.loses = true;
			await node.publish(channel, "0", short);
			await vi.waitFor(() => expect(slow.dropped).toBe(1), { timeout: 8000, interval: 1 });
			slow.loses = false;
			slow.holdReads();
			for (let index = 1; index < 30; index++) await node.publish(channel, String(index), short);
			slow.releaseReads();
			await node.gets(`1:gap in ${channel}`, ...Array.from({ length: 29 }, (_, index) => `${index + 2}:${index + 1}`));
			expect(node.counts.lost).toBe(1);
		}));

	it("one that was announced and is not in the stream is not waited for, and takes no place", () =>
		withNode(async (node, channel) => {
			await node.follows(channel);
			const { epoch } = (await node.broker.position(channel))!;
			// As the last one of a server that is lost, and whose replica, which is trusted, has not got it.
			const ghost = encodePublication(node.id, Buffer.from("ghost"), {});
			const topic = node.broker.keys.topic(channel);
			await node.redis.send(topic, ["SPUBLISH", topic, Buffer.concat([Buffer.from(`9 ${epoch} ${ghost.length} `), ghost])]);
			const { reads } = node.counts;
			const expected = ["1:a"];
			for (let offset = 2; offset <= 30; offset++) {
				await node.publish(channel, `b${offset}`);
				expected.push(`${offset}:b${offset}`);
			}
			await node.gets(...expected);
			expect(node.counts.reads - reads, "reads of the stream").toBeLessThan(10);
			expect(node.restarted).toEqual([]);
		}));

	it("another feeder goes on where the one before it was", () =>
		withNode(async (node, channel) => {
			await node.end(await node.follows(channel), channel);
			await node.publish(channel, "b");
			node.feeder().follow(channel);
			await node.isReached(`${channel}@2`);
			await node.gets("1:a", "2:b");
		}));

	it("what was published while nobody wanted the channel is not brought later", () =>
		withNode(async (node, channel) => {
			const feeder = await node.follows(channel);
			node.nowMs += 100_000;
			feeder.everySecond();
			expect(feeder.size).toBe(0);
			await node.publish(channel, "b");
			feeder.follow(channel);
			await node.isReached(`${channel}@2`);
			await node.publish(channel, "c");
			await node.gets("1:a", "3:c");
			expect(node.restarted).toEqual([]);
		}));

	it("tells subscribers when the stream has lost what they need, and goes on behind it", () =>
		withNode(async (node, channel) => {
			await node.end(await node.follows(channel), channel);
			for (const data of ["b", "c"]) await node.publish(channel, data);
			await admin.send(null, ["DEL", node.broker.keys.stream(channel)]);
			await node.publish(channel, "d");
			node.feeder().follow(channel);
			await node.isReached(`${channel}@4`);
			await node.gets("1:a", `3:gap in ${channel}`, "4:d");
			expect(node.counts.lost).toBe(2);
			// Nobody takes the part for the whole.
			const { epoch } = node.log.position(channel)!;
			const { publications } = node.log.history(channel, { since: { offset: 1, epoch } })!;
			expect(publications.map(({ previousOffset, offset }) => [previousOffset, offset])).toEqual([[3, 4]]);
		}));

	it("a feeder has died, and the log has forgotten the channel: its subscribers are told of what was published meanwhile", () =>
		withNode(async (node, channel) => {
			await node.end(await node.follows(channel), channel);
			await node.publish(channel, "b");
			// It does not count as a use, as `position` does.
			for (let other = 0; node.log.summary(channel) !== null; other++) {
				expect(other).toBeLessThan(100_000);
				node.log.mirror(`other ${other}`, Buffer.alloc(0), { history: limits, offset: 1, epoch0: 1, epoch1: 1, hidden: "position" });
				node.read();
			}
			node.feeder().follow(channel);
			await node.isReached(`${channel}@2`);
			await node.publish(channel, "c");
			await node.gets("1:a", `2:gap in ${channel}`, "3:c");
		}));

	it("a channel that begins another epoch tells its subscribers first, and brings what there is of it", () =>
		withNode(async (node, channel) => {
			await node.follows(channel);
			await admin.send(null, ["DEL", node.broker.keys.meta(channel)]);
			await node.publish(channel, "b");
			await node.publish(channel, "c");
			await node.gets("1:a", `2:gap in ${channel}`, "1:b", "2:c");
			expect(node.restarted).toEqual([channel]);
			await vi.waitFor(() => expect(node.reached.at(-1)).toMatch(/@[12]$/), { timeout: 8000 });
			expect(node.log.position(channel)).toEqual(await node.broker.position(channel));
		}));

	it("a feeder dies between two epochs: the next one brings all of the new one", () =>
		withNode(async (node, channel) => {
			const feeder = await node.follows(channel);
			for (const key of [node.broker.keys.meta(channel), node.broker.keys.stream(channel)]) await admin.send(null, ["DEL", key]);
			for (let second = 0; second < 10; second++) feeder.everySecond();
			await vi.waitFor(() => expect(node.restarted).toEqual([channel]), { timeout: 8000 });
			await node.end(feeder, channel);
			await node.publish(channel, "b");
			node.feeder().follow(channel);
			await node.gets("1:a", `2:gap in ${channel}`, `3:gap in ${channel}`, "1:b");
		}));

	it("a history that is removed is removed from the log as well, and what comes later is kept", () =>
		withNode(async (node, channel) => {
			node.feeder().follow(channel);
			await node.isReached(`${channel}@0`);
			await node.publish(channel, "a");
			await node.publish(channel, "b");
			await node.gets("1:a", "2:b");
			expect(node.log.history(channel)!.publications.length).toBe(2);
			expect(await node.broker.removeHistory(channel)).toBe(true);
			await vi.waitFor(() => expect(node.log.history(channel)!.publications, "what the log holds after the removal").toEqual([]), {
				timeout: 8000,
				interval: 2,
			});
			await node.publish(channel, "c");
			await node.gets("1:a", "2:b", "3:c");
			expect(node.log.history(channel)!.publications.map(({ offset }) => offset)).toEqual([3]);
			expect(node.restarted).toEqual([]);
		}));
});

describe.skipIf(!redisForTests())("Feeder on a Redis Cluster", () => {
	it("brings channels of all its servers, each with one subscription", async () => {
		const rig = await RedisRig.start(3);
		try {
			const redis = await rig.client();
			const node = new Node(redis, await rig.broker({ redis }));
			const feeder = node.feeder();
			const names = Array.from({ length: 12 }, () => rig.channel());
			for (const name of names) feeder.follow(name);
			for (const name of names) await node.isReached(`${name}@0`);
			await Promise.all(names.map((name) => node.publish(name, name)));
			await vi.waitFor(() => expect([...node.read()].sort()).toEqual(names.map((name) => `1:${name}`).sort()), { timeout: 8000 });
			node.stop();
		} finally {
			await rig.stop();
		}
	});
});

import { type Redis, RedisError } from "@shardcast/redis";
import { RedisServer, redisForTests } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { brokerContract } from "../../channel-log/test/broker-contract.ts";
import type { RedisBroker } from "../src/redis-broker.ts";
import { RedisRig, slowed } from "./redis-rig.ts";

describe.skipIf(!redisForTests()).each([
	["a redis-server", 0],
	["a Redis Cluster", 3],
] as const)("with %s", (_name, masters) => {
	let rig: RedisRig;
	let admin: Redis;
	let brokers: readonly RedisBroker[];
	/** Commands of the brokers fail. */
	let isCutOff = false;
	beforeAll(async () => {
		rig = await RedisRig.start(masters);
		admin = await rig.client();
		brokers = await Promise.all([0, 1].map(async () => rig.broker({ redis: cuttable(await rig.client()) })));
	});
	afterAll(() => rig?.stop());

	const cuttable = (redis: Redis): Pick<Redis, "run"> => ({
		run: (...args) => (isCutOff ? Promise.reject(new RedisError("unavailable", "cut off")) : redis.run(...args)),
	});
	const needReplicas = (count: number) => rig.order("CONFIG", "SET", "min-replicas-to-write", String(count));

	brokerContract("RedisBroker", () => ({
		broker: (member) => slowed(brokers[member]!),
		pass: (ms) => rig.pass(admin, ms),
		channel: () => rig.channel(),
		// The servers take no writes.
		pausePublishing: () => {
			needReplicas(1);
			return () => needReplicas(0);
		},
		pauseChange: () => {
			isCutOff = true;
			return () => {
				isCutOff = false;
			};
		},
	}));
});

const kept = { history: { size: 10, ttlMs: 60_000, metaTtlMs: 600_000 } };
const bytes = (text: string) => Buffer.from(text);

describe.skipIf(!redisForTests())("RedisBroker and its server", () => {
	let rig: RedisRig;
	beforeAll(async () => {
		rig = await RedisRig.start();
	});
	afterAll(() => rig?.stop());

	it("another server begins another epoch, without the former publications; one that is trusted goes on", async () => {
		const admin = await rig.client();
		for (const trustsReplicas of [false, true]) {
			const broker = await rig.broker({ trustsReplicas });
			const channel = rig.channel();
			for (const data of ["a", "b"]) await broker.publish(channel, bytes(data), kept);
			const before = await broker.position(channel);
			// As if another server had given the last offset.
			await admin.send(null, ["HSET", broker.keys.meta(channel), "r", "another"]);
			const result = await broker.publish(channel, bytes("c"), kept);
			const { publications, position } = (await broker.history(channel))!;
			const offsets = publications.map(({ offset }) => offset);
			expect(result).toMatchObject({ outcome: "accepted", position });
			if (trustsReplicas) expect([position, offsets]).toEqual([{ ...before, offset: 3 }, [1, 2, 3]]);
			else {
				expect([position.offset, offsets]).toEqual([1, [1]]);
				expect(position.epoch).not.toBe(before!.epoch);
			}
		}
	});

	it("the position of a channel whose server is another one is that of the new epoch as well", async () => {
		const admin = await rig.client();
		const broker = await rig.broker();
		const channel = rig.channel();
		await broker.publish(channel, bytes("a"), kept);
		const before = (await broker.position(channel))!;
		await admin.send(null, ["HSET", broker.keys.meta(channel), "r", "another"]);
		const after = (await broker.position(channel))!;
		expect(after.offset).toBe(0);
		expect(after.epoch).not.toBe(before.epoch);
		expect(await broker.publish(channel, bytes("b"), kept)).toMatchObject({ position: { offset: 1, epoch: after.epoch } });
	});

	it("refuses what is longer than publications may be, and says so", async () => {
		const broker = await rig.broker({ publicationBytesMax: 128 });
		expect(await broker.publish(rig.channel(), bytes("x".repeat(100)), kept)).toMatchObject({ outcome: "accepted" });
		expect(await broker.publish(rig.channel(), bytes("x".repeat(101)), kept)).toEqual({
			outcome: "too_large",
			detail: "a publication of 129 bytes; the most is 128",
		});
	});

	it("publications of one callback are one script: consecutive offsets in their order, keys that are known, and keys twice in it", async () => {
		const redis = await rig.client();
		let runs = 0;
		const counted: Pick<Redis, "run"> = {
			run: (...args) => {
				runs++;
				return redis.run(...args);
			},
		};
		const broker = await rig.broker({ redis: counted });
		const channel = rig.channel();
		const publish = (data: string, key?: string) =>
			broker.publish(channel, bytes(data), { ...kept, ...(key !== undefined && { idempotency: { key, ttlMs: 60_000 } }) });
		const placed = async (...all: ReturnType<typeof publish>[]) =>
			(await Promise.all(all)).map((result) => result.outcome === "accepted" && [result.position.offset, result.duplicate === true]);
		expect(await placed(publish("a", "one"))).toEqual([[1, false]]);
		runs = 0;
		const answers = await placed(
			publish("b"),
			publish("a", "one"),
			publish("c", "two"),
			publish("c", "two"),
			publish("d"),
			publish("e", "three"),
		);
		expect(answers).toEqual([
			[2, false],
			[1, true],
			[3, false],
			[3, true],
			[4, false],
			[5, false],
		]);
		expect(runs).toBe(1);
		expect(await placed(publish("e", "three"), publish("c", "two"))).toEqual([
			[5, true],
			[3, true],
		]);
		const { publications, position } = (await broker.history(channel))!;
		expect(publications.map(({ offset, data }) => `${offset}${Buffer.from(data)}`)).toEqual(["1a", "2b", "3c", "4d", "5e"]);
		expect(position.offset).toBe(5);
		expect(await placed(publish("f"))).toEqual([[6, false]]);
	});

	it("names with braces stay in one slot of a cluster, and apart from each other", async () => {
		const broker = await rig.broker();
		for (const channel of ["a}b", "}", "{}", "}{", "{a}"]) {
			const tags = [
				broker.keys.meta(channel),
				broker.keys.stream(channel),
				broker.keys.once(channel, "k}"),
				broker.keys.topic(channel),
			].map((key) => /\{([^}]+)\}/.exec(key)?.[1]);
			expect(new Set(tags).size, `tags of ${channel}: ${tags.join(" ")}`).toBe(1);
			expect(tags[0]).toBeDefined();
			await broker.publish(channel, bytes(channel), kept);
		}
		for (const channel of ["a}b", "}", "{}", "}{", "{a}"])
			expect((await broker.history(channel))!.publications.map(({ data }) => Buffer.from(data).toString())).toEqual([channel]);
	});

	it("without free memory Redis refuses publications, those to new channels, too, and can be read", async () => {
		const broker = await rig.broker();
		const [known, fresh] = [rig.channel(), rig.channel()];
		await broker.publish(known, bytes("before"), kept);
		rig.order("CONFIG", "SET", "maxmemory", "1");
		try {
			for (const channel of [known, fresh])
				expect(await broker.publish(channel, bytes("refused"), kept)).toMatchObject({ outcome: "full", detail: /OOM/ });
			expect((await broker.history(known))!.publications.map(({ data }) => Buffer.from(data).toString())).toEqual(["before"]);
		} finally {
			rig.order("CONFIG", "SET", "maxmemory", "0");
		}
		expect(await broker.publish(fresh, bytes("first"), kept)).toMatchObject({ position: { offset: 1 } });
	});

	it("what another program has written into the keys is replaced or left out", async () => {
		const [broker, admin] = [await rig.broker(), await rig.client()];
		const channel = rig.channel();
		const { meta, stream, once } = {
			meta: broker.keys.meta(channel),
			stream: broker.keys.stream(channel),
			once: broker.keys.once(channel, "k"),
		};
		for (const position of ["abc", ""]) {
			await broker.publish(channel, bytes("old"), kept);
			await admin.send(meta, ["HSET", meta, "s", position, "z", "many"]);
			expect((await broker.position(channel))?.offset, `after the position "${position}"`).toBe(0);
		}
		await admin.send(once, ["SET", once, "no position"]);
		const keyed = { ...kept, idempotency: { key: "k", ttlMs: 60_000 } };
		expect(await broker.publish(channel, bytes("1"), keyed)).toMatchObject({ outcome: "accepted", position: { offset: 1 } });
		expect(await broker.publish(channel, bytes("1"), keyed), "now it is known").toMatchObject({ duplicate: true, position: { offset: 1 } });
		await admin.send(stream, ["XADD", stream, "1-5", "x", "y"]);
		await broker.publish(channel, bytes("2"), kept);
		expect((await broker.history(channel))!.publications.map(({ offset }) => offset)).toEqual([1, 2]);
	});

	it("an answer that is none is no end of a process", async () => {
		const answers = [
			null,
			7,
			[],
			["e"],
			[1, 2, 3],
			["e", "x", [], "0"],
			["e", "1", "none", "0"],
			["", "1", [], "0"],
			["e", "1e400", [], "0"],
		];
		for (const answer of answers) {
			const broker = await rig.broker({ redis: { run: () => Promise.resolve(answer) } });
			expect(await broker.read("a", {}), JSON.stringify(answer)).toBeNull();
			expect(await broker.publish("a", bytes("1"), kept)).toMatchObject({ outcome: "unacknowledged" });
		}
		const entries = [7, [], ["1-0"], ["1-0", []], ["1-0", ["p", 7]], ["x", ["p", bytes("x")]], ["3-0", ["p", bytes("x")]]];
		const broker = await rig.broker({ redis: { run: () => Promise.resolve(["e", "3", entries, "0"]) } });
		expect((await broker.read("a", {}))!.entries.map(({ offset }) => offset)).toEqual([3]);
	});

	it("while Redis is away a publication is refused, or waits as long as it may", async () => {
		const server = await RedisServer.start();
		const own = await RedisRig.on(server);
		try {
			const redis = await own.client();
			const [hasty, patient] = [await own.broker({ redis }), await own.broker({ redis, waitMs: 8000 })];
			await hasty.publish("a", bytes("a"), kept);
			await server.end();
			await vi.waitFor(() => expect(redis.state).toBe("connecting"), { timeout: 8000 });
			expect(await hasty.publish("a", bytes("b"), kept)).toMatchObject({ outcome: "full", reason: "broker" });
			expect([await hasty.position("a"), await hasty.history("a"), await hasty.removeHistory("a")]).toEqual([null, null, false]);
			const waiting = patient.publish("a", bytes("c"), kept);
			await server.start();
			expect(await waiting).toMatchObject({ outcome: "accepted", position: { offset: 1 } });
		} finally {
			await own.stop();
		}
	});
});

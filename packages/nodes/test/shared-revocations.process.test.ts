import { parseRedisAddress } from "@shardcast/config";
import { type RevocationChange, RevocationStore } from "@shardcast/control";
import { Redis } from "@shardcast/redis";
import { silentLog } from "@shardcast/telemetry";
import { FakeRevocationDatabase, RedisPair, RedisServer, redisForTests, waitFor } from "@shardcast/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { nodeKeys } from "../src/node-keys.ts";
import { SharedRevocations } from "../src/revocations/shared-revocations.ts";

const waitMs = 10_000;
const keys = nodeKeys("ws", false);
const block = (id: string, until?: number): RevocationChange => ({ add: { kind: "user", id, ...(until !== undefined && { until }) } });
const unblock = (id: string): RevocationChange => ({ remove: { kind: "user", id } });

/** A node of a test: only its list. */
class Node {
	readonly redis: Redis;
	readonly kept = new RevocationStore({ folder: "", log: silentLog() });
	readonly shared: SharedRevocations;
	/** As on the disk. */
	position: string | null = null;
	readonly applied: (RevocationChange | "all")[] = [];
	/** What is missing if Redis is not to be reached. */
	isCutOff = false;

	constructor(
		url: string,
		list: readonly RevocationChange[] = [],
		position: string | null = null,
		database: FakeRevocationDatabase | null = null,
	) {
		const address = parseRedisAddress(url);
		this.redis = new Redis(
			{ address, tls: null, connectTimeoutMs: 1000, answerTimeoutMs: 2000, clientName: "test", waitingMax: 10 },
			silentLog(),
		).open();
		for (const change of list) void this.kept.change(change);
		this.position = position;
		const reachable = <T>(send: () => Promise<T>): Promise<T> => (this.isCutOff ? Promise.reject(new Error("cut off")) : send());
		this.shared = new SharedRevocations({
			redis: {
				run: (...args) => reachable(() => this.redis.run(...args)),
				send: (...args) => reachable(() => this.redis.send(...args)),
				onRestored: (listener) => this.redis.onRestored(listener),
				state: "ready",
				problem: null,
			},
			keys,
			kept: this.kept,
			database,
			known: {
				read: () => this.position,
				write: async (written) => {
					this.position = written;
				},
			},
			apply: async (change) => {
				this.applied.push(change);
				return 1;
			},
			everyMs: 60_000,
			log: silentLog(),
		});
	}

	get ids(): string {
		return this.kept.list
			.map(({ id }) => id)
			.toSorted()
			.join(" ");
	}
}

describe.skipIf(!redisForTests())("blocked users and revoked tokens of several nodes", () => {
	let redis: RedisServer;
	const nodes: Node[] = [];
	const node = async (
		...args: readonly [list?: readonly RevocationChange[], position?: string | null, database?: FakeRevocationDatabase]
	): Promise<Node> => {
		const made = new Node(redis.url, ...args);
		nodes.push(made);
		await made.redis.ready(waitMs);
		return made;
	};
	const send = (...args: readonly string[]) => nodes[0]!.redis.send(null, args);

	beforeAll(async () => {
		redis = await RedisServer.start();
	});
	afterEach(async () => {
		await send("FLUSHALL");
		for (const each of nodes.splice(0)) each.redis.close();
	});
	afterAll(() => redis.stop());

	it("a change is in Redis when it is answered; another node takes each change once, and its own not again", async () => {
		const [a, b] = [await node(), await node()];
		expect(await a.shared.change(block("ann"))).toBe("kept");
		await b.shared.change(block("bob", 4_000_000_000));
		await a.shared.catchUp();
		await a.shared.catchUp();
		expect([a.ids, b.ids]).toEqual(["ann bob", "ann bob"]);
		expect([a.applied, b.applied]).toEqual([[block("bob", 4_000_000_000)], [block("ann")]]);
		await b.shared.change(unblock("ann"));
		await a.shared.catchUp();
		expect([a.ids, a.applied.at(-1)]).toEqual(["bob", unblock("ann")]);
	});

	it("whatever the nodes change at the same time, cut off or not, all have the same list in the end", async () => {
		const all = await Promise.all([node(), node(), node()]);
		let seed = 7;
		const random = (below: number) => {
			seed = (seed * 48_271) % 2_147_483_647;
			return seed % below;
		};
		for (let round = 0; round < 20; round++) {
			for (const each of all) each.isCutOff = random(3) === 0;
			const changes = Array.from({ length: 10 }, () => {
				const id = `u${random(8)}`;
				return all[random(3)]!.shared.change(random(2) === 0 ? block(id, 4_000_000_000 + random(5)) : unblock(id));
			});
			await Promise.all(changes);
		}
		for (const each of all) each.isCutOff = false;
		for (let round = 0; round < 2; round++) for (const each of all) await each.shared.catchUp();
		const lists = all.map(({ kept }) => JSON.stringify(kept.list.toSorted((one, other) => (one.id < other.id ? -1 : 1))));
		const inRedis = ((await send("HVALS", keys.revocations.entries)) as string[]).map((json) => JSON.parse(json) as { id: string });
		expect(lists, "lists of the nodes").toEqual(
			all.map(() => JSON.stringify(inRedis.toSorted((one, other) => (one.id < other.id ? -1 : 1)))),
		);
		expect(all.map(({ shared }) => shared.pending)).toEqual([0, 0, 0]);
	});

	it("a change without Redis holds on its node, says so, and reaches the others later", async () => {
		const [a, b] = [await node(), await node()];
		await a.shared.change(block("ann"));
		await b.shared.catchUp();
		b.isCutOff = true;
		expect(await b.shared.change(block("bob"))).toBe("alone");
		expect(await b.shared.change(unblock("ann"))).toBe("alone");
		expect([a.ids, b.ids, b.shared.pending]).toEqual(["ann", "bob", 2]);
		b.isCutOff = false;
		await b.shared.catchUp();
		await a.shared.catchUp();
		expect([a.ids, b.ids, b.shared.pending]).toEqual(["bob", "bob", 0]);
	});

	it("a change without Redis is not lost when its node restarts before it reaches Redis", async () => {
		const a = await node();
		await a.shared.change(block("ann"));
		a.isCutOff = true;
		expect(await a.shared.change(block("bob"))).toBe("alone");
		const restarted = await node([block("ann"), block("bob")], a.position);
		await restarted.shared.catchUp();
		expect(restarted.ids).toBe("ann bob");
		expect((await send("HKEYS", keys.revocations.entries)) as string[], "entries in Redis").toEqual(["user ann", "user bob"]);
		a.isCutOff = false;
		await a.shared.catchUp();
		expect([a.position, a.shared.pending], "a reaches Redis: its list is a copy again").toEqual([restarted.position, 0]);
	});

	it("a node that was away for more changes than Redis keeps reads the whole list, and its shards take it at once", async () => {
		const [a, b] = [await node(), await node()];
		await b.shared.change(block("old"));
		await a.shared.catchUp();
		for (let from = 0; from < 1100; from += 100)
			await Promise.all(Array.from({ length: 100 }, (_, index) => a.shared.change(block(`u${from + index}`))));
		await a.shared.change(unblock("old"));
		const reads = b.shared.counts.wholeReads;
		await b.shared.catchUp();
		expect(b.shared.counts.wholeReads, "reads of the whole list").toBe(reads + 1);
		expect(b.kept.list.length).toBe(1100);
		expect(b.ids).toBe(a.ids);
		expect(b.applied).toEqual(["all"]);
	});

	it("Redis loses the list: the nodes give it what they have. A node that starts takes what it misses, and drops what was removed meanwhile", async () => {
		const a = await node();
		await a.shared.change(block("ann"));
		const known = a.position;
		const restarted = await node([block("ann"), block("unblocked meanwhile")], known);
		await restarted.shared.catchUp();
		expect(restarted.ids, "its list is a copy of that in Redis").toBe("ann");
		const other = await node([block("of another list")], "another 0a 1");
		await other.shared.catchUp();
		expect(other.ids).toBe("ann of another list");
		await send("FLUSHALL");
		await restarted.shared.catchUp();
		await a.shared.catchUp();
		expect([restarted.ids, a.ids], "after Redis has lost everything").toEqual(["ann", "ann"]);
		expect(a.position).not.toBe(known);
		await a.shared.change(block("bob"));
		await a.shared.change(block("eve"));
		await restarted.shared.catchUp();
		await send("HINCRBY", keys.revocations.state, "version", "-2");
		await send("HDEL", keys.revocations.entries, "user eve", "user bob");
		await send("XTRIM", keys.revocations.changes, "MAXLEN", "0");
		await restarted.shared.catchUp();
		expect(await send("HLEN", keys.revocations.entries), "entries after a replica without the last ones has taken over").toBe(3);
	});

	it("entries that have expired leave Redis; what is no entry is skipped and counted", async () => {
		const [a, b] = [await node(), await node()];
		await a.shared.change(block("ann", 1));
		await a.shared.change(block("bob"));
		expect(await send("HKEYS", keys.revocations.entries)).toEqual(["user bob"]);
		await send("HSET", keys.revocations.entries, "x", "{", "y", '{"kind":"user"}', "z", '{"kind":"user_tokens","id":"a"}');
		await send("XADD", keys.revocations.changes, "*", "change", '{"add":{"kind":"king","id":"a"}}');
		await b.shared.catchUp();
		expect(b.ids).toBe("bob");
		expect(b.shared.counts.unreadable).toBeGreaterThanOrEqual(3);
		await waitFor(() => b.applied.length === 1, { deadlineMs: waitMs, what: "one change on the shards" });
	});

	it("PostgreSQL has each change when it is answered; its list comes back when Redis and all nodes have lost it", async () => {
		const database = new FakeRevocationDatabase();
		const [a, b] = [await node([], null, database), await node([], null, database)];
		expect(await a.shared.change(block("ann"))).toBe("kept");
		expect(database.ids).toBe("ann");
		await b.shared.change(block("bob"));
		await b.shared.change(unblock("ann"));
		expect(database.ids, "written by the node that was asked").toBe("bob");
		expect([...database.rows.values()].map(({ version }) => version)).toEqual([3, 2]);
		await a.shared.catchUp();
		await send("FLUSHALL");
		const started = await node([], null, database);
		await started.shared.catchUp();
		expect([started.ids, await send("HKEYS", keys.revocations.entries)]).toEqual(["bob", ["user bob"]]);
		expect(started.position!.startsWith(database.epoch!), "a copy of the new list in Redis").toBe(true);
	});

	it("what PostgreSQL missed is written when it is back, and a change without Redis is there", async () => {
		const database = new FakeRevocationDatabase();
		const a = await node([], null, database);
		await a.shared.change(block("ann"));
		database.isAway = true;
		expect(await a.shared.change(block("bob"))).toBe("unwritten");
		expect(await a.shared.change(unblock("ann"))).toBe("unwritten");
		expect([database.ids, a.ids]).toEqual(["ann", "bob"]);
		database.isAway = false;
		await a.shared.catchUp();
		expect(database.ids).toBe("bob");
		a.isCutOff = true;
		expect(await a.shared.change(block("eve"))).toBe("alone");
		expect([database.ids, database.epoch], "not a copy of the list in Redis").toEqual(["bob eve", ""]);
		const restarted = await node([], null, database);
		await restarted.shared.catchUp();
		expect([restarted.ids, await send("HLEN", keys.revocations.entries)], "Redis gets it from there").toEqual(["bob eve", 2]);
	});

	it("of two opposite changes the last one in Redis is the last one in PostgreSQL, in whatever order they are written", async () => {
		const database = new FakeRevocationDatabase();
		const [a, b] = [await node([], null, database), await node([], null, database)];
		for (const each of [a, b]) await each.shared.catchUp();
		const write = database.write.bind(database);
		let release: () => void = () => undefined;
		const held = new Promise<void>((resolve) => {
			release = resolve;
		});
		database.write = async (rows, isCopy) => {
			if (rows[0]!.version === 1) await held;
			await write(rows, isCopy);
		};
		const first = a.shared.change(block("ann"));
		await waitFor(async () => (await send("HLEN", keys.revocations.entries)) === 1, { deadlineMs: waitMs, what: "the first change" });
		await b.shared.change(unblock("ann"));
		release();
		await first;
		expect(database.ids).toBe("");
	});
});

describe.skipIf(!redisForTests())("blocked users after a failover of Redis", () => {
	/** A block that the replica has, and one that it lacks; then the replica takes over. */
	async function failedOver(during: (a: Node, b: Node, pair: RedisPair) => Promise<void>): Promise<void> {
		const pair = await RedisPair.start();
		const [a, b] = [new Node(pair.url), new Node(pair.url)];
		try {
			await Promise.all([a.redis.ready(waitMs), b.redis.ready(waitMs)]);
			await a.shared.change(block("ann"));
			await b.shared.catchUp();
			await pair.replicated();
			pair.promote();
			expect(await a.shared.change(block("lost"))).toBe("kept");
			// Asked once: this process stands still meanwhile, and would be late with its part of a connection.
			const replica = replicaId(pair);
			pair.move();
			await waitFor(() => [a, b].every(({ redis }) => redis.state === "ready" && redis.server?.runId === replica), {
				deadlineMs: waitMs,
				what: "both nodes at the replica",
			});
			await during(a, b, pair);
		} finally {
			for (const each of [a, b]) each.redis.close();
			await pair.stop();
		}
	}
	const replicaId = ({ replica }: RedisPair) => /run_id:(\w+)/.exec(replica.order("INFO", "server"))![1];

	it("a node that has changes which the promoted replica lacks gives them back, although as many others were made meanwhile", async () => {
		await failedOver(async (a, b) => {
			await b.shared.change(block("bob"));
			expect(b.ids, "as many changes as there were before").toBe("ann bob");
			await a.shared.catchUp();
			await b.shared.catchUp();
			expect([a.ids, b.ids]).toEqual(["ann bob lost", "ann bob lost"]);
		});
	});

	it("the same after a restart of that node, whose list is on its disk", async () => {
		await failedOver(async (a, b, { url }) => {
			await b.shared.change(block("bob"));
			const restarted = new Node(
				url,
				a.kept.list.map((add) => ({ add })),
				a.position,
			);
			try {
				await restarted.redis.ready(waitMs);
				await restarted.shared.catchUp();
				expect(restarted.ids).toBe("ann bob lost");
			} finally {
				restarted.redis.close();
			}
		});
	});

	it("a node that lacks nothing gives nothing back: what was unblocked after the failover stays so", async () => {
		await failedOver(async (a, b) => {
			await a.shared.catchUp();
			await a.shared.change(unblock("ann"));
			await a.shared.change(unblock("lost"));
			await b.shared.catchUp();
			expect([a.ids, b.ids]).toEqual(["", ""]);
			expect(b.shared.counts.wholeReads, "only the changes were read").toBe(1);
		});
	});
});

import { join } from "node:path";
import { Cluster, ManagedProcess, RedisServer, redisForTests, waitFor } from "@shardcast/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { FakeBackend } from "../support/fake-backend.ts";
import { RigClient, tokenOf } from "../support/gateway-rig.ts";
import { orderKick, redisConnectTimeoutMs, refusalStatus, standingNode } from "../support/standing-node.ts";

const main = join(import.meta.dirname, "../../../../apps/supervisor/dist/main.js");
const within = { deadlineMs: 30_000 };
const key = "a-secret-of-some-length";
const blocked = { code: 3507, reason: "permission denied" };
const kicked = { code: 3503, reason: "force disconnect" };
const closing: (() => unknown)[] = [];
afterAll(async () => {
	for (const close of closing.splice(0).reverse()) await close();
});

describe.skipIf(!redisForTests())("a gateway of two processes with Redis", () => {
	it("kicks right after its start, blocks and revocations reach the clients of both; one that starts while Redis is away has the list, and hears orders when it is back", async () => {
		const [redis, backend] = await Promise.all([RedisServer.start(), FakeBackend.open()]);
		closing.push(
			() => redis.stop(),
			() => backend.close(),
		);
		const node = standingNode(redis.url);
		closing.push(() => node.stop());
		await node.start();
		await node.revocations.change({ add: { kind: "user", id: "old" } });
		const args = ["gateway", "127.0.0.1:0", `127.0.0.1:${backend.port}`, "--shards", "2"];
		const patience = ["--redis-connect-timeout", `${redisConnectTimeoutMs}ms`];
		const env = { SHARDCAST_REDIS_URL: redis.url, SHARDCAST_TOKEN_HMAC_SECRET: key };
		const program = await ManagedProcess.start(main, [...args, ...patience], { env });
		closing.push(() => program.stop());
		const [, port] = await program.waitForOutput(/ws:\/\/127\.0\.0\.1:(\d+), http.*; 2 processes/, 60_000);
		const cluster = new Cluster(program, 0, Number(port));
		const connect = (user: string, claims: object = {}): RigClient => {
			const client = new RigClient(`${cluster.url}/?token=${tokenOf(user, key, claims)}`);
			closing.push(() => client.socket.terminate());
			return client;
		};
		/** Two clients of a user, one on each process. The balancer leaves out a process that has stood still for a while. */
		const pairOf = (user: string, claims: object = {}): Promise<RigClient[]> =>
			waitFor(
				async () => {
					const pair = [await connect(user, claims).welcome(), await connect(user, claims).welcome()];
					expect(new Set(pair.map(({ id }) => id >>> 26)), `the processes of ${user}`).toEqual(new Set([0, 1]));
					return pair;
				},
				{ ...within, what: `a client of ${user} on each process` },
			);
		/** That is also why it says 503. */
		const statusFor = (user: string): Promise<number> =>
			waitFor(
				async () => {
					const status = await refusalStatus(connect(user));
					return status === 503 ? null : status;
				},
				{ ...within, what: `an answer to ${user}` },
			);
		const ends = (clients: readonly RigClient[]) => Promise.all(clients.map((client) => client.closing()));
		const ann = await pairOf("ann");
		expect(orderKick(redis, "ann"), "it and the node listen").toBe(2);
		expect(await ends(ann)).toEqual([kicked, kicked]);
		expect(await Promise.all([statusFor("old"), statusFor("old")]), "blocked before its start").toEqual([403, 403]);
		const [bob, cat] = [await pairOf("bob"), await pairOf("cat", { jti: "c1" })];
		await node.revocations.change({ add: { kind: "user", id: "bob" } });
		await node.revocations.change({ add: { kind: "token", id: "c1" } });
		expect(await ends(bob)).toEqual([blocked, blocked]);
		expect((await ends(cat)).map(({ code }) => code)).toEqual([3500, 3500]);
		await redis.end();
		await cluster.kill9(1);
		await cluster.ready();
		const dan = await pairOf("dan");
		expect(await Promise.all(Array.from({ length: 4 }, () => statusFor("bob"))), "blocked before").toEqual([403, 403, 403, 403]);
		await redis.start();
		await waitFor(() => orderKick(redis, "dan") >= 1 && dan.every(({ closed }) => closed !== null), {
			...within,
			what: "a kick that is heard",
		});
		expect(dan.map(({ closed }) => closed)).toEqual([kicked, kicked]);
	});
});

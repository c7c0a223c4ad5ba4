import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Redis, RedisError, Script } from "@shardcast/redis";
import { makeCertificate, RedisServer, redisForTests, waitFor } from "@shardcast/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { openRedis } from "./support/client.ts";

const waitMs = 10_000;

describe.skipIf(!redisForTests())("Redis", () => {
	let server: RedisServer;
	const opened: Redis[] = [];
	const open: typeof openRedis = (...args) => {
		const redis = openRedis(...args);
		opened.push(redis);
		return redis;
	};
	beforeAll(async () => {
		server = await RedisServer.start();
	});
	afterEach(() => {
		for (const redis of opened.splice(0)) redis.close();
	});
	afterAll(() => server.stop());

	const problemOf = async (promise: Promise<unknown>): Promise<RedisError> => {
		const error = await promise.then(
			() => null,
			(error: unknown) => error,
		);
		expect(error, "it should have failed").toBeInstanceOf(RedisError);
		return error as RedisError;
	};

	it("sends commands, as text and as bytes, and says what the server is", async () => {
		const redis = open(server.url);
		const info = await redis.ready(5000);
		expect(["redis", "valkey"]).toContain(info.name);
		expect(Number.parseInt(info.version, 10)).toBeGreaterThanOrEqual(7);
		expect(info.runId).toMatch(/^[0-9a-f]{40}$/);
		const bytes = Buffer.from([0, 255, 128, 10]);
		await redis.send("bytes", ["SET", "bytes", bytes]);
		expect(await redis.send("bytes", ["GET", "bytes"], { bytes: true })).toEqual(bytes);
		await redis.send("text", ["SET", "text", "été"]);
		expect(await redis.send("text", ["GET", "text"])).toBe("été");
		expect(await redis.send("none", ["GET", "none"])).toBeNull();
		expect(redis.counts.answered).toBe(5);
		expect(redis.counts.latency().count).toBe(5);
	});

	it("answers each command of a pipeline, those that fail as well", async () => {
		const redis = open(server.url);
		await redis.ready(5000);
		const outcomes = await redis.pipeline([
			{ key: "n", args: ["SET", "n", "1"] },
			{ key: "n", args: ["LPUSH", "n", "x"] },
			{ key: "n", args: ["INCR", "n"] },
		]);
		expect(outcomes[0]).toEqual({ value: "OK" });
		expect(outcomes[1]).toMatchObject({ error: { kind: "refused", message: expect.stringMatching(/^WRONGTYPE/) } });
		expect(outcomes[2]).toEqual({ value: 2 });
		expect(redis.counts.failed.refused).toBe(1);
	});

	it("runs a script that the server does not know, and one that it knows", async () => {
		const redis = open(server.url);
		await redis.ready(5000);
		const script = new Script("return redis.call('INCRBY', KEYS[1], ARGV[1])");
		await redis.send(null, ["SCRIPT", "FLUSH"]);
		expect(await redis.run(script, ["sum"], ["5"])).toBe(5);
		const refused = redis.counts.failed.refused;
		expect(await redis.run(script, ["sum"], ["2"])).toBe(7);
		expect(redis.counts.failed.refused, "the second run needs no text").toBe(refused);
		expect((await problemOf(redis.run(new Script("return redis.call('NONE')"), ["sum"], []))).kind).toBe("refused");
	});

	it("receives messages, plain and sharded, until it is told not to", async () => {
		const redis = open(server.url);
		await redis.ready(5000);
		const got: string[] = [];
		await redis.subscribe("plain", (message) => got.push(`plain ${message}`));
		await redis.subscribe("sharded", (message) => got.push(`sharded ${message}`), { sharded: true });
		expect(await redis.send("plain", ["PUBLISH", "plain", "1"])).toBe(1);
		expect(await redis.send("sharded", ["SPUBLISH", "sharded", "2"])).toBe(1);
		await waitFor(() => got.length === 2, { deadlineMs: waitMs, what: "both messages" });
		expect(got.toSorted()).toEqual(["plain 1", "sharded 2"]);
		expect(redis.counts.messages).toBe(2);
		await redis.unsubscribe("plain");
		await redis.unsubscribe("sharded");
		expect(await redis.send("plain", ["PUBLISH", "plain", "3"])).toBe(0);
		expect(await redis.send("sharded", ["SPUBLISH", "sharded", "4"])).toBe(0);
		expect(redis.subscriptions).toBe(0);
	});

	it("says at the start what is wrong: nobody there, a login that is refused, no Redis, a server that is too old", async () => {
		const dead = open("redis://127.0.0.1:1");
		// It may not have heard of it within the time.
		await expect
			.poll(async () => (await problemOf(dead.ready(300))).message)
			.toMatch(/^cannot use Redis at redis:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/);

		const guarded = await RedisServer.start({ password: "hunter2-right" });
		try {
			const without = await problemOf(open(guarded.url).ready(5000));
			expect(without.kind).toBe("login");
			expect(without.message).toMatch(/it refuses the login: NOAUTH, it requires a password: redis:\/\/:password@/);
			const url = `redis://:hunter2-wrong@127.0.0.1:${guarded.port}`;
			const wrong = await problemOf(open(url).ready(5000));
			expect(wrong.message).toMatch(/it refuses the login: WRONGPASS/);
			expect(JSON.stringify([wrong.message, wrong.stack]), "the password is told nowhere").not.toContain("hunter2");
			const right = open(url.replace("wrong", "right"));
			await right.ready(5000);
			expect(right.where).toBe(guarded.url);
		} finally {
			await guarded.stop();
		}

		const plain = await RedisServer.start();
		try {
			const missing = await problemOf(open(`${plain.url}/99`).ready(5000));
			expect([missing.kind, missing.message]).toEqual([
				"unsuitable",
				expect.stringMatching(/\/99: it has no database with this number; see `databases`/),
			]);
			const tls = { caPath: null, certPath: null, keyPath: null, verify: true };
			const silent = await problemOf(open(plain.url.replace("redis", "rediss"), { tls }).ready(300));
			expect(silent.message).toMatch(/; if this port has no TLS, write redis:\/\/$/);
		} finally {
			await plain.stop();
		}

		const web = await answering(() => "HTTP/1.1 400 Bad Request\r\n\r\n");
		const old = await answering((text) => (/INFO/.test(text) ? bulk("redis_version:6.2.14\r\nredis_mode:standalone\r\n") : "+OK\r\n"));
		try {
			expect((await problemOf(open(`redis://127.0.0.1:${web.port}`).ready(500))).message).toMatch(/^cannot use Redis at /);
			const tooOld = await problemOf(open(`redis://127.0.0.1:${old.port}`).ready(5000));
			expect(tooOld.message).toMatch(/version 6\.2\.14 of Redis; use Redis 7 or later/);
		} finally {
			web.server.close();
			old.server.close();
		}
	});

	it("connects with TLS, and says at the start when it does not trust the certificate, or is not spoken to in TLS", async ({ skip }) => {
		const folder = mkdtempSync(join(tmpdir(), "shardcast-redis-"));
		const tls = makeCertificate(folder, { name: "redis" });
		const guarded = await RedisServer.start({ tls }).catch((error: unknown) => {
			// Debian's redis-server has TLS; another program may have been built without it.
			skip(process.env.SHARDCAST_TEST_REDIS_SERVER !== undefined, "this server does not start with TLS");
			throw error;
		});
		const options = { caPath: tls.certFile, certPath: null, keyPath: null, verify: true };
		const url = guarded.url.replace("redis:", "rediss:");
		try {
			const trusting = open(url, { tls: options });
			await trusting.ready(5000);
			const got: string[] = [];
			await trusting.subscribe("news", (message) => got.push(String(message)));
			await trusting.send("news", ["PUBLISH", "news", "over TLS"]);
			await waitFor(() => got.length === 1, { deadlineMs: waitMs, what: "a message over TLS" });
			const distrusting = await problemOf(open(url, { tls: { ...options, caPath: null } }).ready(5000));
			expect(distrusting.kind).toBe("unsuitable");
			expect(distrusting.message).toMatch(/its certificate is not accepted: self-signed certificate/);
			await open(url, { tls: { ...options, caPath: null, verify: false } }).ready(5000);
			const withoutTls = open(guarded.url);
			await expect
				.poll(async () => (await problemOf(withoutTls.ready(1000))).message)
				.toMatch(/^cannot use Redis at redis:.*; if this port has TLS, write rediss:\/\/$/);
		} finally {
			await guarded.stop();
			rmSync(folder, { recursive: true });
		}
	});

	it("fails at once while Redis is away, or waits if told to, within bounds and in order; subscriptions come back", async () => {
		const own = await RedisServer.start();
		try {
			const redis = open(own.url, { waitingMax: 3 });
			await redis.ready(5000);
			const got: string[] = [];
			await redis.subscribe("news", (message) => got.push(String(message)));
			let restored = 0;
			redis.onRestored(() => restored++);
			await own.end();
			await waitFor(() => redis.state === "connecting", { deadlineMs: waitMs, what: "that the loss is noticed" });
			expect((await problemOf(redis.send("k", ["GET", "k"]))).kind).toBe("unavailable");
			expect((await problemOf(redis.send("k", ["GET", "k"], { waitMs: 50 }))).kind, "waited in vain").toBe("unavailable");
			const waiting = ["a", "b", "c"].map((letter) => redis.send("list", ["RPUSH", "list", letter], { waitMs }));
			expect(redis.waiting).toBe(3);
			expect((await problemOf(redis.send("list", ["RPUSH", "list", "d"], { waitMs }))).kind, "one too many").toBe("full");
			expect(redis.counts.failed).toMatchObject({ unavailable: 2, full: 1 });
			await own.start();
			expect(await Promise.all(waiting)).toEqual([1, 2, 3]);
			expect(await redis.send("list", ["LRANGE", "list", "0", "-1"])).toEqual(["a", "b", "c"]);
			await waitFor(() => restored > 0, { deadlineMs: waitMs, what: "that the subscriptions are restored" });
			await waitFor(async () => (await redis.send("news", ["PUBLISH", "news", "again"])) === 1, {
				deadlineMs: waitMs,
				what: "the subscription after the restart",
			});
			await waitFor(() => got.includes("again"), { deadlineMs: waitMs, what: "a message after the restart" });
			expect(redis.counts.lost).toBe(1);
		} finally {
			await own.stop();
		}
	});

	it("does not wait for a server that hangs: the command fails as interrupted, and later ones work when it goes on", async () => {
		const own = await RedisServer.start();
		try {
			const redis = open(own.url, { answerTimeoutMs: 300 });
			await redis.ready(5000);
			own.signal("SIGSTOP");
			const began = performance.now();
			// Other commands go on meanwhile: the connection is not silent.
			const traffic = setInterval(() => redis.send("k", ["GET", "k"]).catch(() => undefined), 50);
			const problem = await problemOf(redis.send("k", ["SET", "k", "1"])).finally(() => clearInterval(traffic));
			expect(problem.kind).toBe("interrupted");
			expect(problem.message).toMatch(/no answer within 300 ms to SET; it may have been carried out|Socket timeout/);
			expect(performance.now() - began).toBeLessThan(5000);
			own.signal("SIGCONT");
			await redis.ready(waitMs);
			// Its time for an answer is too short for a busy machine.
			await waitFor(async () => (await redis.send("k", ["SET", "k", "2"], { waitMs })) === "OK", {
				deadlineMs: waitMs,
				what: "a command that works",
			});
		} finally {
			own.signal("SIGCONT");
			await own.stop();
		}
	});

	it("fails what is under way when it is closed", async () => {
		const own = await RedisServer.start();
		try {
			const redis = open(own.url);
			await redis.ready(5000);
			own.signal("SIGSTOP");
			const sent = problemOf(redis.send("k", ["GET", "k"]));
			redis.close();
			expect((await sent).kind).toMatch(/^(interrupted|closed)$/);
			expect((await problemOf(redis.send("k", ["GET", "k"], { waitMs }))).kind).toBe("closed");
		} finally {
			await own.stop();
		}
	});
});

function bulk(text: string): string {
	return `$${text.length}\r\n${text}\r\n`;
}

/** A server that answers whatever comes. */
async function answering(answer: (text: string) => string): Promise<{ server: Server; port: number }> {
	const sockets = new Set<Socket>();
	const server = createServer((socket) => {
		sockets.add(socket);
		socket.on("error", () => {});
		// Each command of the client begins with the number of its parts.
		socket.on("data", (data) => {
			for (const command of data.toString().split(/(?=\*\d+\r\n)/)) socket.write(answer(command));
		});
	});
	server.on("close", () => {
		for (const socket of sockets) socket.destroy();
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return { server, port: (server.address() as { port: number }).port };
}

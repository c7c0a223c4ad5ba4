import { createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DurableMessage, DurableSubscription, durableSubscription } from "@shardcast/client";
import { type Cluster, type HttpAnswer, httpRequest, ManagedProcess, startCluster, waitFor } from "@shardcast/testkit";
import { Centrifuge } from "centrifuge";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";

const secret = "a-secret-of-enough-bytes-surely-32";
const key = "a-key-of-the-api";
const fileIn = (directory: string) => `
client: { insecure: true, token: { hmac_secret_key: ${secret} } }
http_api: { key: ${key} }
channel:
  durable_store: { path: ${join(directory, "store")}, ack_timeout: 3s }
  namespaces:
    - { name: orders, history_size: 2000, history_ttl: 1h, durable: true }
`;

const example = join(import.meta.dirname, "../../../../../examples/durable-consumer.mjs");

interface Published {
	readonly offset: number;
	readonly epoch: string;
}

/** Consumers of durable channels with the library's client and our helper for it. */
describe("durable subscriptions on 2 shards", () => {
	let cluster: Cluster;
	let directory: string;
	const clients: Centrifuge[] = [];
	const start = () => startCluster({ shards: 2, config: fileIn(directory) });
	beforeAll(async () => {
		directory = mkdtempSync(join(tmpdir(), "shardcast-"));
		cluster = await start();
	});
	afterAll(async () => {
		for (const client of clients) client.disconnect();
		expect((await cluster.stop()).code, cluster.log()).toBe(0);
		rmSync(directory, { recursive: true });
	});

	function connect(shard?: number): Centrifuge {
		const url = `${shard === undefined ? cluster.url : cluster.shardUrl(shard)}/connection/websocket`;
		const client = new Centrifuge(url, { websocket: WebSocket, minReconnectDelay: 50, maxReconnectDelay: 200 });
		clients.push(client);
		client.connect();
		return client;
	}

	async function publish(shard: number, channel: string, text: string): Promise<Published> {
		return JSON.parse((await api(shard, "publish", { channel, data: text })).body) as Published;
	}

	async function api(shard: number, method: string, body: object): Promise<HttpAnswer> {
		const headers = { "x-api-key": key, "content-type": "application/json" };
		const url = `${cluster.shardUrl(shard).replace("ws:", "http:")}/api/${method}`;
		const reply = await httpRequest(url, { method: "POST", headers, body: JSON.stringify(body) });
		expect(reply.status, reply.body).toBeLessThan(300);
		return reply;
	}

	/** The code with which a client is closed that comes with the token of a user. */
	async function refused(user: string): Promise<number> {
		const signed = [{ alg: "HS256" }, { sub: user }].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
		const token = `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
		const socket = new WebSocket(`${cluster.shardUrl(0)}/connection/websocket`);
		await once(socket, "open");
		const closed = once(socket, "close");
		socket.send(JSON.stringify({ id: 1, connect: { token } }));
		return ((await closed) as [number])[0];
	}

	function consume(client: Centrifuge, channel: string, consumer: string, failOn: (message: DurableMessage) => boolean = () => false) {
		const got: string[] = [];
		const durable = durableSubscription<string>(client, channel, {
			consumer,
			retryMs: 50,
			acknowledgeMs: 10,
			onMessage: async (message) => {
				if (failOn(message)) throw new Error("not now");
				got.push(message.data);
			},
		});
		return { got, durable };
	}

	const until = (condition: () => boolean, what: string) => waitFor(condition, { deadlineMs: 20_000, what });

	it("what a handler fails for comes again, in order; what is acknowledged does not", async () => {
		const client = connect(0);
		let failures = 0;
		const { got, durable } = consume(client, "orders:a", "billing", ({ data }) => data === "m1" && failures++ === 0);
		await durable.subscription.ready(10_000);
		for (let index = 0; index < 4; index++) await publish(index % 2, "orders:a", `m${index}`);
		await until(() => got.length === 4, "all messages");
		expect(got).toEqual(["m0", "m1", "m2", "m3"]);
		expect(failures).toBe(2);
		await durable.close();
		const again = consume(client, "orders:a", "billing");
		await again.durable.subscription.ready(10_000);
		await publish(1, "orders:a", "m4");
		await until(() => again.got.length > 0, "the next message");
		expect(again.got).toEqual(["m4"]);
		await again.durable.close();
	});

	it("a plain client that does not acknowledge is unsubscribed with 2500 and gets all again", async () => {
		const client = connect(1);
		const subscription = client.newSubscription("orders:plain", { data: { consumer: "slow" } });
		const events: string[] = [];
		subscription.on("subscribing", ({ code }) => events.push(String(code)));
		subscription.on("publication", ({ data }) => {
			events.push(data as string);
			// Here, or a pause of this process brings a third one.
			if (events.filter((event) => event === "x").length === 2) subscription.unsubscribe();
		});
		subscription.subscribe();
		await subscription.ready(10_000);
		await publish(0, "orders:plain", "x");
		await until(() => events.filter((event) => event === "x").length === 2, "the second delivery");
		expect(events).toEqual(["0", "x", "2500", "x"]);
	});

	it("examples/durable-consumer.mjs handles what is published, also while it is not running", async () => {
		// Both times on the same shard: the others know of an acknowledgement when it is on the disk, up to some 100 ms later.
		const start = () => ManagedProcess.start(example, [cluster.shardUrl(0), "orders:example", "billing"]);
		let program = await start();
		await program.waitForOutput(/connected to/, 10_000);
		let attempts = 0;
		await waitFor(
			async () => {
				await publish(0, "orders:example", `early ${++attempts};`);
				return program.log().includes("early");
			},
			{ deadlineMs: 10_000, what: "a message at the example" },
		);
		program.signal("SIGINT");
		expect((await program.exited).code).toBe(0);
		// Those of which it did not hear before it was interrupted come later.
		const handled = program.log().match(/early \d+;/g)!;
		await publish(1, "orders:example", "while it was away");
		program = await start();
		await program.waitForOutput(/while it was away/, 10_000);
		for (const text of handled) expect(program.log()).not.toContain(text);
		program.signal("SIGINT");
		expect((await program.exited).code).toBe(0);
	});

	it("more than a recovery holds comes in order; a consumer that was away goes on, on another shard, after kill -9 and a restart of the cluster", async () => {
		const first = connect(0);
		const { durable, got } = consume(first, "orders:b", "reports");
		await durable.subscription.ready(10_000);
		const { epoch } = await publish(0, "orders:b", "first");
		await until(() => got.length === 1, "the first message");
		await durable.close();
		first.disconnect();
		const sent: { readonly offset: number; readonly text: string }[] = [];
		for (let block = 0; block < 4; block++) {
			const texts = Array.from({ length: 100 }, (_, index) => `n${block * 100 + index}`);
			sent.push(...(await Promise.all(texts.map(async (text) => ({ text, ...(await publish(block % 2, "orders:b", text)) })))));
			if (block === 1) {
				await cluster.kill9(0);
				// The cluster may not have noticed yet.
				const answers = () =>
					publish(0, "orders:probe", "x").then(
						() => true,
						() => false,
					);
				await waitFor(answers, { deadlineMs: 20_000, what: "shard 0 after its death" });
			}
		}
		sent.sort((a, b) => a.offset - b.offset);
		const second = consume(connect(1), "orders:b", "reports");
		let subscribed = 0;
		second.durable.subscription.on("subscribed", () => subscribed++);
		await until(() => second.got.length >= 310, "310 messages");
		const before = subscribed;
		await cluster.kill9(1);
		// What shard 1 was told in its last 100 ms is acknowledged again when the client, which may not have noticed yet, is back.
		await until(() => subscribed > before, "the consumer's return");
		await until(() => second.got.length >= 400, "400 messages");
		expect(second.got).toEqual(sent.map(({ text }) => text));
		await second.durable.close();
		await publish(0, "orders:b", "before the restart");
		for (const client of clients.splice(0)) client.disconnect();
		expect(JSON.parse((await api(1, "block_user", { user: "ivy" })).body)).toEqual({ result: {} });
		expect((await cluster.stop()).code, cluster.log()).toBe(0);
		cluster = await start();
		expect(await refused("ivy"), "a user that was blocked before the restart").toBe(3507);
		const third = consume(connect(1), "orders:b", "reports");
		await until(() => third.got.length > 0, "the message from before the restart");
		expect(third.got).toEqual(["before the restart"]);
		const after = await publish(1, "orders:b", "after the restart");
		expect(after.epoch).toBe(epoch);
		await until(() => third.got.length === 2, "the message from after the restart");
		expect(third.got).toEqual(["before the restart", "after the restart"]);
		expect(third.durable).toBeInstanceOf(DurableSubscription);
	});
});

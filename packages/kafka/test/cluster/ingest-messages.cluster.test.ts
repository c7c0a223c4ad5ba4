import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, RawClient, RedisServer, redisForTests, Scrape, waitFor } from "@shardcast/testkit";
import { kafkaForTests } from "@shardcast/testkit/kafka";
import { Centrifuge } from "centrifuge";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { KafkaRig } from "../support/ingest-rig.ts";

const waitMs = 30_000;
const secret = "a-secret-of-enough-bytes-surely-32";
const settings = `
client: { token: { hmac_secret_key: "${secret}" } }
channel:
  namespaces:
    - { name: live, allow_subscribe_for_client: true }
    - { name: kept, allow_subscribe_for_client: true, history_size: 100, history_ttl: 5m }
`;
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
function tokenOf(user: string): string {
	const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: user })}`;
	return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

/** A client of npm centrifuge in a room without history and one with. */
class Member {
	readonly user: string;
	readonly client: Centrifuge;
	readonly got: string[] = [];

	constructor(url: string, user: string) {
		this.user = user;
		this.client = new Centrifuge(`${url}/connection/websocket`, { websocket: WebSocket, token: tokenOf(user) });
		this.client.on("message", ({ data }) => this.got.push(JSON.stringify(data)));
		for (const channel of ["live:a", "kept:a"]) {
			const subscription = this.client.newSubscription(channel);
			subscription.on("publication", ({ data }) => this.got.push(`${channel} ${JSON.stringify(data)}`));
			subscription.subscribe();
		}
		this.client.connect();
	}

	async ready(): Promise<void> {
		await Promise.all(Object.values(this.client.subscriptions()).map((subscription) => subscription.ready(waitMs)));
	}
}

describe.skipIf(!redisForTests() || !(await kafkaForTests()))("messages in Kafka with a type, to a user, a room or all", () => {
	let rig: KafkaRig;
	let redis: RedisServer;
	let directory: string;
	const clients: { disconnect(): void }[] = [];
	beforeAll(async () => {
		rig = await KafkaRig.create();
		redis = await RedisServer.start();
		directory = mkdtempSync(join(tmpdir(), "shardcast-"));
		writeFileSync(join(directory, "shardcast.yaml"), settings);
	}, 60_000);
	afterEach(async () => {
		for (const client of clients.splice(0)) client.disconnect();
		await rig.reset();
	});
	afterAll(async () => {
		await rig?.close();
		await redis?.stop();
		rmSync(directory, { recursive: true });
	});

	const flagsOf = (topic: string, mode: string, more: readonly string[] = []) => {
		const topics = ["--kafka-topics", `${topic}-plain`, "--kafka-message-topics", topic, "--kafka-dead-letter", `${topic}-dead`];
		return ["--config", join(directory, "shardcast.yaml"), ...topics, "--kafka-group", topic, "--kafka-mode", mode, ...more];
	};
	const createTopics = async (topic: string) => {
		for (const name of [topic, `${topic}-plain`, `${topic}-dead`]) await rig.client.createTopic(name, 1);
	};
	const send = (topic: string, value: string | null, headers: Record<string, string> = {}) =>
		rig.client.producer.send({ topic, messages: [{ key: "k", value, headers }] });
	const join2 = async (url: string, user: string): Promise<Member> => {
		const member = new Member(url, user);
		clients.push(member.client);
		await member.ready();
		return member;
	};
	/** Sends one of each kind, and checks who gets it. */
	const check = async (topic: string, nodes: readonly Cluster[]) => {
		const urls = nodes.flatMap((node) => [0, 1].map((shard) => node.shardUrl(shard)));
		const members = await Promise.all(urls.flatMap((url) => ["ann", "kept:a"].map((user) => join2(url, user))));
		const raw = await Promise.all(urls.map((url) => RawClient.open(`${url}/?token=${tokenOf("ann")}`)));
		// Of a topic without the right: the headers mean nothing, and the template counts.
		await send(`${topic}-plain`, "1", { "shardcast-to": "user:ann", "shardcast-type": "stolen" });
		await send(topic, '{"from": 1}', { "shardcast-to": "user:ann", "shardcast-type": "call", "shardcast-priority": "high" });
		// The id is also the name of a channel with a history.
		await send(topic, "2", { "shardcast-to": "user:kept:a", "shardcast-type": "own" });
		await send(topic, "3", { "shardcast-to": "all", "shardcast-type": "alert" });
		for (const channel of ["live:a", "kept:a"]) {
			await send(topic, "4", { "shardcast-to": `room:${channel}`, "shardcast-type": "said" });
			await send(topic, "5", { "shardcast-to": `room:${channel}`, "shardcast-priority": "high" });
		}
		await send(topic, "6", { "shardcast-to": "nobody", "shardcast-type": "t" });
		await send(topic, "no JSON", { "shardcast-to": "all", "shardcast-type": "t" });
		await send(topic, null, { "shardcast-to": "all", "shardcast-type": "t" });
		await send(topic, "7", { "shardcast-to": "all", "shardcast-type": "end" });
		const end = '{"type":"end","payload":7}';
		const everybody = [end, '{"type":"alert","payload":3}'];
		const inRoom = ["live:a", "kept:a"].flatMap((room) => [`${room} {"type":"said","payload":4}`, `${room} 5`]);
		const own = { ann: '{"type":"call","payload":{"from":1}}', "kept:a": '{"type":"own","payload":2}' } as Record<string, string>;
		const settled = ({ got }: Member) => got.includes(end) && got.filter((text) => text.startsWith("kept:a")).length >= 2;
		await waitFor(
			() => {
				const late = members.find((member) => !settled(member));
				if (late !== undefined) throw new Error(`${late.user}: ${late.got}`);
				return raw.every((client) => client.texts().includes(end));
			},
			{ deadlineMs: waitMs, what: "the last message everywhere" },
		);
		for (const { user, got } of members) expect(got.toSorted(), user).toEqual([...everybody, ...inRoom, own[user]!].toSorted());
		// Byte for byte. Raw clients with a token get what is for their user and for all, not what is in channels.
		for (const client of raw) {
			expect(client.texts().toSorted()).toEqual(['{"type":"call","payload":{"from": 1}}', ...everybody].toSorted());
			client.close();
		}
	};
	/** How many records each node must have refused, of each of the two kinds; the counters may be read before the last one is in them. */
	const refused = async (nodes: readonly Cluster[], topic: string, counts: readonly number[]) => {
		await waitFor(
			async () => {
				const scrapes = await Promise.all(nodes.map(({ httpUrl }) => Scrape.of(httpUrl)));
				for (const reason of ["bad_header", "invalid_json"])
					expect(
						scrapes.map((scrape) => scrape.sum("shardcast_kafka_skipped_total", { reason })),
						reason,
					).toEqual(counts);
				const [offsets] = await rig.client.admin.fetchTopicOffsets(`${topic}-dead`);
				return Number(offsets!.high) >= counts.reduce((sum, count) => sum + count, 0);
			},
			{ deadlineMs: waitMs, what: "refused records, and dead letters" },
		);
	};

	for (const mode of ["per-shard", "shared"]) {
		it(`${mode}, two nodes of two shards: each connection gets each message once, on whichever node it is`, {
			tags: ["long"],
			timeout: 120_000,
		}, async () => {
			const topic = `messages-${process.pid}-${mode}`;
			await createTopics(topic);
			const node = (id: string) => ["--redis-url", redis.url, "--node-id", id, "--node-heartbeat", "400ms"];
			const nodes = await Promise.all(["n1", "n2"].map((id) => rig.start(2, flagsOf(topic, mode, node(id)))));
			await check(topic, nodes);
			// Without further checks: each shard, or one per node, counts the record.
			await refused(nodes, topic, mode === "shared" ? [1, 1] : [2, 2]);
		});
	}

	it("one node: the same, and a shard that was killed sends nothing again", { tags: ["long"], timeout: 120_000 }, async () => {
		const topic = `messages-${process.pid}-one`;
		await createTopics(topic);
		const node = await rig.start(2, flagsOf(topic, "shared"));
		await check(topic, [node]);
		await rig.servesAgain(0, await node.kill9(0));
		await check(topic, [node]);
	});
});

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RawClient, Scrape, startCluster, waitFor } from "@shardcast/testkit";
import { connectKafka, KafkaBroker, kafkaForTests, saslUsers } from "@shardcast/testkit/kafka";
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } from "kafkajs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { KafkaRig } from "../support/ingest-rig.ts";

describe.skipIf(!(await kafkaForTests()))("trouble with Kafka costs what it befalls, and nothing else", () => {
	let rig: KafkaRig;
	let scratch: string;
	let topics = 0;
	/** For the first two tests, which make it: not started yet, then one that asks who comes. */
	let guarded: KafkaBroker | undefined;
	beforeAll(async () => {
		rig = await KafkaRig.create();
		scratch = mkdtempSync(join(tmpdir(), "shardcast-route-"));
	});
	afterEach(() => rig.reset());
	afterAll(async () => {
		await guarded?.remove();
		await rig.close();
		rmSync(scratch, { recursive: true, force: true });
	});

	async function guardedBroker(): Promise<KafkaBroker> {
		const authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
		// Whoever comes without SASL may do everything, alice only what she is granted.
		const properties = { "authorizer.class.name": authorizer, "super.users": "User:ANONYMOUS" };
		guarded ??= await KafkaBroker.create({ secure: true, properties });
		return guarded;
	}

	const degraded = (sentence: string, deadlineMs = 20_000, cluster = rig.cluster) =>
		waitFor(
			async () => {
				const { status, reasons } = await cluster.health();
				if (status !== "degraded" || !reasons.some((reason) => reason.includes(sentence)))
					throw new Error(`${status}: ${reasons.join("; ")}`);
				return true;
			},
			{ deadlineMs, what: `health to say "${sentence}"` },
		);

	it("no broker at start: the cluster serves, says so, and reads once there is one", { tags: ["long"] }, async () => {
		const broker = await guardedBroker();
		const { brokers } = broker;
		rig.cluster = await startCluster({
			shards: 2,
			flags: ["--kafka-brokers", brokers, "--kafka-topics", "late", "--kafka-metadata-age", "300ms"],
		});
		await degraded(`not answered yet: ${brokers}; if they do not answer soon, check --kafka-brokers`);
		await degraded("can't be reached");
		const [one, two] = await rig.listen([rig.cluster.shardUrl(0), rig.cluster.shardUrl(1)]);
		one!.send("clients talk all the same");
		await two!.waitForMessages(1, 20_000);
		await broker.start();
		await degraded("a topic does not exist: topic late does not exist; create what is missing", 20_000);
		const client = await connectKafka(brokers);
		await client.createTopic("late", 1);
		await client.producer.send({ topic: "late", messages: [{ value: "at last" }] });
		await client.close();
		await waitFor(() => one!.texts().includes("at last") && two!.texts().includes("at last"), { deadlineMs: 20_000, what: "the record" });
		await rig.healthy();
	});

	it("credentials: plain, SCRAM and TLS are taken; wrong ones are said to be wrong, and what alice may not read is named", {
		timeout: 180_000,
		tags: ["long"],
	}, async () => {
		const broker = await guardedBroker();
		if (broker.pid === undefined) await broker.start();
		const client = await connectKafka(broker.brokers);
		await client.createTopic("secret", 1);
		await client.createTopic("guarded", 1);
		const grant = (resourceType: AclResourceTypes, resourceName: string) =>
			client.admin.createAcls({
				acl: [
					{
						...{ resourceType, resourceName, resourcePatternType: ResourcePatternTypes.LITERAL },
						...{ principal: "User:alice", host: "*", operation: AclOperationTypes.READ, permissionType: AclPermissionTypes.ALLOW },
					},
				],
			});
		await grant(AclResourceTypes.TOPIC, "secret");
		await grant(AclResourceTypes.GROUP, "*");
		const sasl = `127.0.0.1:${broker.ports.sasl}`;
		const login = (mechanism: string, password: string) => [
			...["--kafka-brokers", sasl, "--kafka-sasl", mechanism],
			...["--kafka-username", "alice", "--kafka-password", password],
		];
		const secret = ["--kafka-topics", "secret"];
		const tls = ["--kafka-brokers", `127.0.0.1:${broker.ports.ssl}`, ...secret, "--kafka-tls"];
		const good = [
			// PLAIN is what the cluster below logs in with.
			...["scram-sha-256", "scram-sha-512"].map((mechanism) => [...login(mechanism, saslUsers.alice), ...secret]),
			[...tls, "--kafka-tls-ca", broker.caPath!],
		];
		const wrong = [[...login("plain", "wrong"), ...secret], [...login("scram-sha-512", "wrong"), ...secret], tls];
		// All of them side by side: they mostly wait.
		const starting = [...good, ...wrong].map((flags) => startCluster({ shards: 1, flags, readyMs: 90_000 }));
		try {
			const clusters = await Promise.all(starting);
			await Promise.all(
				clusters.slice(good.length).map((cluster) => degraded("reject the credentials or the certificate", 30_000, cluster)),
			);
			const listeners = await Promise.all(
				clusters.slice(0, good.length).map(async (cluster) => {
					await rig.healthy(30_000, cluster);
					return RawClient.open(cluster.url);
				}),
			);
			await client.producer.send({ topic: "secret", messages: [{ value: "for those who may read it" }] });
			await Promise.all(listeners.map((listener) => listener.waitForMessages(1, 20_000)));
		} finally {
			const ends = await Promise.allSettled(starting);
			await Promise.all(ends.map((each) => (each.status === "fulfilled" ? each.value.stop() : null)));
		}
		// Denied is not missing: once it is allowed, reading begins at the latest record, as for a topic that was there.
		await client.producer.send({ topic: "guarded", messages: [{ value: "history" }] });
		const mixed = ["--kafka-topics", "secret,guarded", "--kafka-metadata-age", "300ms"];
		rig.cluster = await startCluster({ shards: 2, flags: [...login("plain", saslUsers.alice), ...mixed] });
		await degraded("topic guarded may not be read", 30_000);
		const listener = await RawClient.open(rig.cluster.url);
		await client.producer.send({ topic: "guarded", messages: [{ value: "more history" }] });
		await grant(AclResourceTypes.TOPIC, "guarded");
		await waitFor(async () => !(await rig.cluster.health()).reasons.some((reason) => reason.includes("guarded")), {
			deadlineMs: 20_000,
			what: "the topic to be read",
		});
		await client.producer.send({ topic: "guarded", messages: [{ value: "news" }] });
		await listener.waitForMessages(1, 20_000);
		expect(listener.texts()).toEqual(["news"]);
		await client.close();
	});

	it("records that can't be delivered are counted, go to the dead letters, and hold up no other", async () => {
		const topic = `bad${topics++}`;
		await rig.client.createTopic(topic, 1);
		await rig.client.createTopic(`${topic}.dead`, 1);
		await rig.start(1, [
			"--kafka-topics",
			topic,
			"--kafka-format",
			"json",
			"--max-payload",
			"1KiB",
			"--kafka-channel",
			"{key}.{topic}",
			"--kafka-dead-letter",
			`${topic}.dead`,
		]);
		const listener = await RawClient.open(`${rig.cluster.url}/?channels=k.${topic}`);
		await rig.client.producer.send({
			topic,
			messages: [
				{ key: "k", value: '"first"' },
				{ key: "k", value: null },
				{ key: "k", value: "no json" },
				{ key: "k", value: Buffer.from([0x22, 0xff, 0x22]) },
				{ key: "k", value: JSON.stringify("x".repeat(2000)), headers: { kept: "yes" } },
				{ key: null, value: '"without a key"' },
				{ key: "other", value: '"on another channel"' },
				{ key: "k", value: '"last"' },
			],
		});
		await listener.waitForMessages(2, 20_000);
		expect(listener.texts()).toEqual(['"first"', '"last"']);
		const skipped = async (reason: string) => (await Scrape.of(rig.cluster.httpUrl)).sum("shardcast_kafka_skipped_total", { reason });
		await waitFor(async () => (await skipped("bad_channel")) === 1, { deadlineMs: 20_000, what: "the counters" });
		expect([await skipped("too_large"), await skipped("invalid_text"), await skipped("invalid_json")]).toEqual([1, 1, 1]);
		const high = async () => Number((await rig.client.admin.fetchTopicOffsets(`${topic}.dead`))[0]!.high);
		await waitFor(async () => (await high()) === 4, { deadlineMs: 20_000, what: "the dead letters" });
		// A line of a shard comes by way of the supervisor.
		const logged = (pattern: RegExp) => rig.cluster.process.waitForOutput(pattern, 20_000);
		await logged(new RegExp(`"topic":"${topic}","partition":0,"offset":4`));
		await logged(
			/"offset":5.*a record is not delivered \(bad_channel\): its key is null, and --kafka-channel \{key\}\.\{topic\} needs one/,
		);
		await logged(
			/kafka +reads bad\d+ from 127\.0\.0\.1:\d+; per-shard; group shardcast-0; begins at the latest record; dead letters to bad/,
		);
	});

	it("a route function that throws, hangs or answers nonsense costs that record", { tags: ["long"] }, async () => {
		const topic = `routed${topics++}`;
		await rig.client.createTopic(topic, 1);
		const path = join(scratch, "route.mjs");
		writeFileSync(
			path,
			`export default ({ value }) => {
				const text = Buffer.from(value).toString();
				if (text === "throw") throw new Error("thrown on purpose");
				if (text === "hang") for (;;);
				if (text === "never") return new Promise(() => {});
				if (text === "reject") return Promise.reject(new Error("rejected on purpose"));
				if (text === "nonsense") return 42;
				if (text === "nowhere") return null;
				if (text === "later") return new Promise((resolve) => setTimeout(resolve, 20, "routed"));
				if (text === "changed") return { channels: ["routed"], payload: "recreated" };
				return "routed";
			};\n`,
		);
		await rig.start(2, ["--kafka-topics", topic, "--kafka-route", path, "--kafka-route-budget", "200ms"]);
		const listener = await RawClient.open(`${rig.cluster.shardUrl(0)}/?channels=routed`);
		const values = ["1", "throw", "2", "hang", "3", "never", "4", "reject", "nonsense", "nowhere", "later", "changed", "hang", "5"];
		await rig.client.producer.send({ topic, messages: values.map((value) => ({ value })) });
		await listener.waitForMessages(7, 20_000);
		expect(listener.texts()).toEqual(["1", "2", "3", "4", "later", "recreated", "5"]);
		const skipped = async (reason: string) =>
			(await Scrape.of(rig.cluster.httpUrl)).sum("shardcast_kafka_skipped_total", { reason, shard: "0" });
		await waitFor(async () => (await skipped("route_timeout")) === 3, { deadlineMs: 20_000, what: "the counters" });
		expect([await skipped("route_error"), await skipped("route_invalid")]).toEqual([2, 1]);
		// The shard itself noticed nothing: same process as before.
		expect((await rig.cluster.health()).shards.map(({ restarts }) => restarts)).toEqual([0, 0]);
		await rig.healthy();

		// SIGHUP reads the module again. If it is broken, the log says so and the old one stays.
		const hangUp = async (source: string, said: string) => {
			writeFileSync(path, source);
			process.kill(rig.cluster.process.pid!, "SIGHUP");
			await waitFor(() => rig.cluster.log().includes(said), { deadlineMs: 10_000, what: `"${said}" in the log` });
		};
		const next = async (value: string) => {
			const before = listener.messages.length;
			await rig.client.producer.send({ topic, messages: [{ value }] });
			await listener.waitForMessages(before + 1, 10_000);
			return listener.texts().at(-1);
		};
		await hangUp("const a = 1;\nexport default ( => a;\n", `the old one stays: ${path}:2: SyntaxError`);
		expect(await next("by the old one")).toBe("by the old one");
		await hangUp('export default ({ value }) => ({ channels: "routed", payload: "new: " + Buffer.from(value) });\n', "is read again");
		await waitFor(async () => (await next("x")) === "new: x", { deadlineMs: 10_000, what: "the new route" });

		// A shard that has to load a broken one says which, in health; the other goes on.
		writeFileSync(path, "connect();\nexport default () => null;\n");
		await rig.cluster.kill9(1);
		await degraded(`the route module can't be loaded: ${path}:1: ReferenceError: connect is not defined`, 20_000);
		expect(await next("y")).toBe("new: y");
		writeFileSync(path, "export default () => null;\n");
		await rig.healthy(30_000);
	});
});

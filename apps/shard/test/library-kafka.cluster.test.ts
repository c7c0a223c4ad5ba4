import { silentLog } from "@shardcast/service";
import { LibraryClient, waitFor } from "@shardcast/testkit";
import { acquireKafka, connectKafka, type KafkaClient, kafkaForTests, type TestKafka } from "@shardcast/testkit/kafka";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Server } from "../src/library/index.ts";

// Compiled, since its ingest runs on a worker thread.
const { createServer, PublishError } = (await import(
	new URL("../dist/library/index.js", import.meta.url).href
)) as typeof import("../src/library/index.ts");

describe.skipIf(!(await kafkaForTests()))("B12: a program's own messages through Kafka", () => {
	let kafka: TestKafka;
	let client: KafkaClient;
	let server: Server;
	let topics = 0;
	beforeAll(async () => {
		kafka = await acquireKafka();
		client = await connectKafka(kafka.brokers);
	});
	afterEach(() => server.shutdown(2000));
	afterAll(async () => {
		await client.close();
		await kafka.release();
	});

	async function start(): Promise<string> {
		const topic = `host${topics++}`;
		await client.createTopic(topic, 1);
		server = createServer(
			{ addr: "127.0.0.1:0", kafkaBrokers: kafka.brokers.split(","), publishVia: "kafka", kafkaPublishTopic: topic },
			{ log: silentLog(), statusLine: false },
		);
		await server.run();
		return topic;
	}
	const written = async (topic: string) => Number((await client.admin.fetchTopicOffsets(topic))[0]!.high);
	const why = (published: Promise<void>) =>
		published.then(
			() => "published",
			(error: unknown) => (error instanceof PublishError ? error.outcome : String(error)),
		);

	it("publishConfirmed resolves once Kafka has the message; publish says that it is on its way", async () => {
		const topic = await start();
		const listener = await LibraryClient.open(server.url);
		const bytes = new Uint8Array([1, 2, 3]);
		const published = server.publishConfirmed(bytes);
		bytes.fill(0);
		await published;
		expect(await written(topic)).toBe(1);
		await Promise.all(Array.from({ length: 200 }, (_, index) => server.publishConfirmed(`${index}`)));
		expect(await written(topic)).toBe(201);
		await listener.waitForMessages(201);
		expect(listener.messages[0]).toEqual({ binary: true, bytes: Buffer.from([1, 2, 3]) });
		expect(listener.texts().slice(1)).toEqual(Array.from({ length: 200 }, (_, index) => `${index}`));
		expect(server.publish("and one more")).toBe("pending");
		await waitFor(() => listener.texts().includes("and one more"), { deadlineMs: 5000, what: "the message" });
		await expect(server.publishConfirmed("x".repeat(100_000))).rejects.toThrow(RangeError);
	});

	it("a handler that stops or breaks a message is told as such", async () => {
		const topic = await start();
		server.use(({ payload }, next) => {
			const text = Buffer.from(payload).toString();
			if (text === "broken") throw new Error("broken on purpose");
			if (text !== "stopped") next();
		});
		expect(await Promise.all(["stopped", "broken", "fine"].map((text) => why(server.publishConfirmed(text))))).toEqual([
			"stopped",
			"failed",
			"published",
		]);
		expect(await written(topic)).toBe(1);
	});

	it("what is under way when the server is shut down is settled", async () => {
		await start();
		const published = Array.from({ length: 500 }, () => why(server.publishConfirmed("x")));
		await server.shutdown(5000);
		expect(new Set(await Promise.all(published))).toEqual(new Set(["published"]));
		await expect(server.publishConfirmed("too late")).rejects.toThrow("shut down");
	});

	for (const [how, stop, resume] of [
		["hangs", () => process.kill(kafka.broker!.pid!, "SIGSTOP"), () => process.kill(kafka.broker!.pid!, "SIGCONT")],
		["is away", () => kafka.broker!.kill(), () => kafka.broker!.start()],
	] as const)
		it(`a broker that ${how} is an error within 20 s, and bounds what may wait; afterwards all goes on`, async () => {
			if (kafka.broker === null) return;
			await start();
			await server.publishConfirmed("before");
			await stop();
			try {
				const beganMs = performance.now();
				const lost = why(server.publishConfirmed("lost"));
				const flood = Array.from({ length: 9000 }, () => why(server.publishConfirmed("flood")));
				const outcomes = await Promise.all(flood);
				expect(await lost).toBe("unacknowledged");
				expect(performance.now() - beganMs).toBeLessThan(20_000);
				expect([outcomes.filter((each) => each === "full").length, new Set(outcomes)]).toEqual([809, new Set(["unacknowledged", "full"])]);
			} finally {
				await resume();
			}
			await waitFor(async () => (await why(server.publishConfirmed("after"))) === "published", { deadlineMs: 60_000, what: "Kafka" });
		}, 120_000);
});

import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { LibraryClient, waitFor } from "@shardcast/testkit";
import { acquireKafka, connectKafka, type KafkaBroker, type KafkaClient, kafkaForTests, type TestKafka } from "@shardcast/testkit/kafka";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

/** The program in its own process, as compiled: its ingest runs on a worker thread. It ends with its channel. */
class Host {
	readonly #child: ChildProcess;
	readonly #waiting = new Map<number, (result: unknown) => void>();
	#lastId = 0;

	constructor() {
		this.#child = fork(fileURLToPath(new URL("../programs/publishing-host.mjs", import.meta.url)), { execArgv: [] });
		this.#child.on("message", ({ id, result }: { id: number; result: unknown }) => this.#waiting.get(id)?.(result));
	}

	call<T>(call: string, argument?: unknown): Promise<T> {
		const id = ++this.#lastId;
		this.#child.send({ id, call, argument });
		return new Promise<T>((resolve) => this.#waiting.set(id, resolve as (result: unknown) => void));
	}

	async end(): Promise<void> {
		if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
		const gone = new Promise((resolve) => this.#child.once("exit", resolve));
		this.#child.kill("SIGKILL");
		await gone;
	}
}

describe.skipIf(!(await kafkaForTests()))("a program's own messages through Kafka", () => {
	let kafka: TestKafka;
	let client: KafkaClient;
	let host: Host;
	let url: string;
	let topics = 0;
	beforeAll(async () => {
		kafka = await acquireKafka();
		client = await connectKafka(kafka.brokers);
	});
	afterEach(() => host?.end());
	afterAll(async () => {
		await client.close();
		await kafka.release();
	});

	/** A host that publishes to a fresh topic of one partition. */
	async function startHost(brokers: string, admin: KafkaClient): Promise<{ host: Host; topic: string; url: string }> {
		const topic = `host-${process.pid}-${topics++}`;
		await admin.createTopic(topic, 1);
		const started = new Host();
		const url = await started.call<string>("start", {
			addr: "127.0.0.1:0",
			kafkaBrokers: brokers.split(","),
			publishVia: "kafka",
			kafkaPublishTopic: topic,
		});
		return { host: started, topic, url };
	}

	async function start(): Promise<string> {
		let topic: string;
		({ host, topic, url } = await startHost(kafka.brokers, client));
		return topic;
	}
	const written = async (topic: string) => Number((await client.admin.fetchTopicOffsets(topic))[0]!.high);
	/** Publishes until the server reads the topic. It begins at the end: what Kafka has before that is not delivered. @returns how many it took. */
	async function publishUntilRead(listener: LibraryClient): Promise<number> {
		let count = 0;
		const isRead = async () => {
			count++;
			expect(await host.call("publish", [`probe ${count}`])).toEqual(["accepted"]);
			return waitFor(() => listener.texts().includes(`probe ${count}`), { deadlineMs: 900, what: "the message" }).catch(() => false);
		};
		await waitFor(isRead, { deadlineMs: 20_000, what: "the server to read the topic" });
		return count;
	}

	it("publish resolves once Kafka has the message", async () => {
		const topic = await start();
		const listener = await LibraryClient.open(url);
		const before = await publishUntilRead(listener);
		const heard = listener.messages.length;
		expect(await host.call("publishBytes", [1, 2, 3])).toBe("accepted");
		expect(await written(topic)).toBe(before + 1);
		const texts = Array.from({ length: 200 }, (_, index) => `${index}`);
		expect(new Set(await host.call<string[]>("publish", texts))).toEqual(new Set(["accepted"]));
		expect(await written(topic)).toBe(before + 201);
		await listener.waitForMessages(heard + 201);
		expect(listener.messages[heard]).toEqual({ binary: true, bytes: Buffer.from([1, 2, 3]) });
		expect(listener.texts().slice(heard + 1)).toEqual(texts);
		expect(await host.call("result", "and one more")).toEqual({ outcome: "accepted" });
		await listener.waitForMessages(heard + 202);
		expect(await host.call("publish", ["x".repeat(100_000)])).toEqual(["RangeError"]);
		await listener.close();
	});

	it("a handler that stops or breaks a message is told as such", async () => {
		const topic = await start();
		await host.call("useHandler");
		expect(await host.call("publish", ["stopped", "broken", "fine"])).toEqual(["stopped", "failed", "accepted"]);
		expect(await written(topic)).toBe(1);
	});

	it("what is under way when the server is shut down is settled", { tags: ["long"] }, async () => {
		await start();
		const outcomes = await host.call<string[]>("publishThenShutdown", { count: 500 });
		expect([outcomes.length, new Set(outcomes)]).toEqual([500, new Set(["accepted"])]);
		expect(await host.call("publish", ["too late"])).toEqual(["Error"]);
	});

	// Side by side, each with its own broker: they wait for most of their time.
	for (const [how, stop, resume] of [
		["hangs", (broker) => process.kill(broker.pid!, "SIGSTOP"), (broker) => process.kill(broker.pid!, "SIGCONT")],
		["is away", (broker) => broker.kill(), (broker) => broker.start()],
	] as const satisfies [string, (broker: KafkaBroker) => unknown, (broker: KafkaBroker) => unknown][])
		it.concurrent(`a broker that ${how} is an error within 20 s, and bounds what may wait; afterwards all goes on`, {
			timeout: 120_000,
			tags: ["long"],
		}, async () => {
			const { broker, brokers, release } = await acquireKafka({ own: true });
			if (broker === null) return;
			const admin = await connectKafka(brokers);
			const { host: publisher } = await startHost(brokers, admin);
			try {
				expect(await publisher.call("publish", ["before"])).toEqual(["accepted"]);
				await stop(broker);
				try {
					const beganMs = performance.now();
					const lost = publisher.call("publish", ["lost"]);
					const outcomes = await publisher.call<string[]>("publishMany", { count: 9000, text: "flood" });
					expect(await lost).toEqual(["unacknowledged"]);
					expect(performance.now() - beganMs).toBeLessThan(20_000);
					expect([outcomes.filter((each) => each === "full").length, new Set(outcomes)]).toEqual([
						809,
						new Set(["unacknowledged", "full"]),
					]);
				} finally {
					await resume(broker);
				}
				await waitFor(async () => (await publisher.call<string[]>("publish", ["after"]))[0] === "accepted", {
					deadlineMs: 60_000,
					what: "Kafka",
				});
			} finally {
				await publisher.end();
				await admin.close();
				await release();
			}
		});
});

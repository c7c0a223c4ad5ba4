import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { describeEnd, handshakeKey, Opcode, RawSocket, startCluster } from "@shardcast/testkit";
import { connectKafka, KafkaBroker } from "@shardcast/testkit/kafka";
import { Servers } from "../servers.ts";
import { roundsFrom, runBench } from "./support/report.ts";
import { benchProgram, benchShards, withCleanup } from "./support/subject.ts";

/**
 * Clients of one channel come back together, each of which has missed as many records as the channel has had since: ten times what the memory
 * holds, so Kafka has to be read for them. They get all of it in one reply each, which is counted.
 */
const topic = "recovery";
const channel = "kf:market";
const clients = 1000;
const missed = 10_000;
const recordBytes = 128;
const deadlineMs = 120_000;
/** As an SDK does after a temporary error. */
const retryMs = 300;
const configuration = `client: { insecure: true }\nchannel:\n  namespaces:\n    - { name: kf, history_size: ${missed / 10}, history_ttl: 5m, force_recovery: true }\n`;

const rounds = roundsFrom(process.argv.slice(2), 3);
const readBuffer = Buffer.allocUnsafe(4 << 20);
const publication = Buffer.from('{"data":');

/** One client: subscribes at a position, and counts what it is given. */
class Returning {
	readonly done: Promise<number>;
	retries = 0;
	readonly #socket: RawSocket;
	#closed = false;

	constructor(url: string, subscribe: object, whole: (reply: string) => void) {
		const { hostname, port } = new URL(url);
		const options = {
			host: hostname,
			port: Number(port),
			path: "/connection/websocket?cf_ws_frame_ping_pong=true",
			key: handshakeKey(),
			readBuffer,
			messageBytesMax: 64 << 20,
		};
		let id = 1;
		const command = () => `{"id":${++id},"subscribe":${JSON.stringify(subscribe)}}`;
		let resolve!: (count: number) => void;
		let reject!: (error: Error) => void;
		this.done = new Promise((resolved, rejected) => {
			resolve = resolved;
			reject = rejected;
		});
		this.#socket = new RawSocket(0, options, {
			opened: (socket) => socket.send(Opcode.text, Buffer.from(`{"id":1,"connect":{}}\n${command()}`)),
			message: (socket, _opcode, bytes, start, end) => {
				const tail = bytes.toString("latin1", Math.max(start, end - 300), end);
				if (tail.includes('"error"')) {
					this.retries++;
					setTimeout(() => socket.send(Opcode.text, Buffer.from(command())), retryMs * (0.5 + Math.random()));
				} else if (tail.includes('"recovered":true')) {
					whole(bytes.toString("utf8", start, end));
					resolve(publicationsIn(bytes, start, end));
				} else if (tail.includes("was_recovering")) reject(new Error(`not recovered: ${tail}`));
			},
			ended: (_socket, end) => {
				if (!this.#closed) reject(new Error(`a client lost its connection: ${describeEnd(end)}`));
			},
		});
		this.done.catch(() => {});
	}

	close(): void {
		this.#closed = true;
		this.#socket.tcp.destroy();
	}
}

function publicationsIn(bytes: Buffer, start: number, end: number): number {
	let count = 0;
	for (let at = bytes.indexOf(publication, start); at >= 0 && at < end; at = bytes.indexOf(publication, at + 1)) count++;
	return count;
}

/** Subscribes once, for the epoch; resolves when the first record is there. */
async function epochOf(url: string): Promise<string> {
	const endsMs = performance.now() + deadlineMs;
	for (;;) {
		const found = await new Promise<{ offset?: number; epoch: string }>((resolve, reject) => {
			const { hostname, port } = new URL(url);
			const socket = new RawSocket(
				0,
				{ host: hostname, port: Number(port), path: "/connection/websocket?cf_ws_frame_ping_pong=true", key: handshakeKey(), readBuffer },
				{
					opened: (opened) => opened.send(Opcode.text, Buffer.from(`{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"${channel}"}}`)),
					message: (_socket, _opcode, bytes, start, end) => {
						const reply = bytes
							.toString("utf8", start, end)
							.split("\n")
							.find((line) => line.includes('"subscribe"'));
						if (reply !== undefined) resolve((JSON.parse(reply) as { subscribe: { offset?: number; epoch: string } }).subscribe);
						socket.tcp.destroy();
					},
					ended: (_socket, end) => reject(new Error(describeEnd(end))),
				},
			);
		});
		if (found.offset === 1) return found.epoch;
		if (performance.now() > endsMs) throw new Error("the first record has not come");
		await sleep(50);
	}
}

async function produce(broker: KafkaBroker, from: number, count: number): Promise<void> {
	const client = await connectKafka(broker.brokers);
	for (let sent = 0; sent < count; sent += 1000) {
		const messages = Array.from({ length: Math.min(1000, count - sent) }, (_, index) => {
			const text = `{"n":${from + sent + index},"x":"`;
			return { key: channel, value: `${text.padEnd(recordBytes - 2, "x")}"}` };
		});
		await client.producer.send({ topic, acks: -1, messages });
	}
	await client.close();
}

function recovery(): Promise<{
	clientsPerSecond: number;
	recordsPerSecond: number;
	cpuMsPerClient: number;
	growthMiB: number;
	retries: number;
}> {
	return withCleanup(async (ends) => {
		const broker = await KafkaBroker.run({ lasting: true });
		ends.push(() => broker.remove());
		const client = await connectKafka(broker.brokers);
		await client.createTopic(topic, 1);
		await client.close();
		const directory = mkdtempSync(join(tmpdir(), "shardcast-bench-"));
		ends.push(async () => rmSync(directory, { recursive: true }));
		writeFileSync(join(directory, "shardcast.yaml"), configuration);
		const kafka = ["--kafka-brokers", broker.brokers, "--kafka-topics", topic, "--kafka-channel", "{key}", "--kafka-from", "earliest"];
		const flags = [
			"--config",
			join(directory, "shardcast.yaml"),
			...kafka,
			"--kafka-recovery-limit",
			String(missed),
			"--max-buffered",
			"8MiB",
		];
		const cluster = await startCluster({ shards: benchShards, flags });
		ends.push(async () => void (await cluster.stop()));
		await produce(broker, 0, 1);
		const epoch = await epochOf(cluster.shardUrl(0));
		await produce(broker, 1, missed);
		await sleep(1000);
		const servers = await Servers.find(cluster.httpUrl);
		const before = { cpuMs: servers.cpuMs(), bytes: servers.pssBytes() };
		let most = before.bytes;
		const watch = setInterval(() => {
			try {
				most = Math.max(most, servers.pssBytes());
			} catch {
				// A process that has died; its clients say so.
				clearInterval(watch);
			}
		}, 200);
		let isChecked = false;
		const beganMs = performance.now();
		const returning = Array.from(
			{ length: clients },
			(_, index) =>
				new Returning(cluster.shardUrl(index % benchShards), { channel, recover: true, offset: 1, epoch }, (reply) => {
					if (!isChecked) check(reply);
					isChecked = true;
				}),
		);
		ends.push(async () => {
			for (const each of returning) each.close();
		});
		const late = sleep(deadlineMs, null, { ref: false }).then((): never => {
			throw new Error(`not all clients were given what they had missed within ${deadlineMs} ms`);
		});
		const counts = await Promise.race([Promise.all(returning.map(({ done }) => done)), late])
			.catch((error: Error) => {
				throw new Error(`${error.message}\n${cluster.log()}`);
			})
			.finally(() => clearInterval(watch));
		const seconds = (performance.now() - beganMs) / 1000;
		const wrong = counts.find((count) => count !== missed);
		if (wrong !== undefined) throw new Error(`a client got ${wrong} of ${missed} records`);
		return {
			clientsPerSecond: clients / seconds,
			recordsPerSecond: (clients * missed) / seconds,
			cpuMsPerClient: (servers.cpuMs() - before.cpuMs) / clients,
			growthMiB: (most - before.bytes) / 2 ** 20,
			retries: returning.reduce((sum, { retries }) => sum + retries, 0),
		};
	});
}

/** All of them, in order. */
function check(reply: string): void {
	const line = reply.split("\n").find((each) => each.includes('"recovered":true'))!;
	const { subscribe } = JSON.parse(line) as { subscribe: { publications: { data: { n: number }; offset: number }[] } };
	subscribe.publications.forEach(({ data, offset }, index) => {
		if (data.n !== index + 1 || offset !== index + 2)
			throw new Error(`record ${data.n} at offset ${offset} is number ${index} of the reply`);
	});
}

await benchProgram(async () => {
	await runBench({
		name: "recovery",
		rounds,
		figures: {
			clientsPerSecond: { unit: "clients/s", better: "higher", help: "that were given all that they had missed" },
			recordsPerSecond: { unit: "records/s", better: "higher", help: "in their replies" },
			cpuMsPerClient: { unit: "ms", better: "lower", help: "CPU of all server processes" },
			growthMiB: { unit: "MiB", better: "lower", help: "memory of all server processes at most, less that before" },
			retries: { unit: "", better: "lower", help: "temporary errors for clients that had waited too long" },
		},
		variants: { kafka: recovery },
		setup: { clients, missed, recordBytes, shards: benchShards },
	});
});

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { parseRedisAddress } from "@shardcast/config";
import { Redis } from "@shardcast/redis";
import { LibraryClient, RedisServer, waitFor } from "@shardcast/testkit";
import { installSocketIo, SocketIoClient, type SocketIoServer, startSocketIo } from "./socket-io/servers.ts";
import { HttpLoad, publishRequest } from "./support/http-load.ts";
import { watchOtherCpu } from "./support/other-cpu.ts";
import { pacedLatency } from "./support/paced-latency.ts";
import { redisCpuMs } from "./support/redis-cpu.ts";
import { otherCpuPercent, roundsFrom, runBench } from "./support/report.ts";
import { benchProgram, benchShards, startBenchCluster } from "./support/subject.ts";

/**
 * What it costs to publish on one machine and to receive on others: nodes of two shards and one Redis, on channels with and without history,
 * with a client on a second node and then on a third too, against bare pub/sub of that Redis and against servers of Socket.IO with its adapter
 * for Redis streams (from npm; left out without it). First as fast as it is taken, in HTTP batches of 100, then the latency at a fixed rate, from a client's write
 * on one node to another client's read on the other. All share this machine.
 */
const dataBytes = 128;
const batchMessages = 100;
const durationMs = 3_000;
const connections = 4;
const pacedPerSecond = 200;
/** Enough that a p99 is 20 messages, and not the few that a single collection of garbage delays. */
const pacedMs = { warmupMs: 5_000, durationMs: 10_000 };
const inFlight = 400;

/** Something with processes whose CPU counts. */
type Measured = { readonly servers: { cpuMs(): number } };

const rounds = roundsFrom(process.argv.slice(2), 3);
/**
 * More than is published in a round. A node loses messages (counted as `gone`) only if it falls behind by more than a feeder holds and by the whole history,
 * but then the round would never end.
 */
const file = "channel: { namespaces: [{ name: kept, history_size: 100000, history_ttl: 10m }] }\n";

const cpuMsOfRedis = async (redis: Redis) => redisCpuMs(String(await redis.send(null, ["INFO", "cpu"])));

await benchProgram(async (ends) => {
	const server = await RedisServer.start();
	ends.push(() => server.stop());
	const open = async (): Promise<Redis> => {
		const times = { connectTimeoutMs: 1000, answerTimeoutMs: 10_000 };
		const options = { address: parseRedisAddress(server.url), tls: null, ...times, clientName: "bench", waitingMax: 10 };
		const redis = new Redis(options, { info: () => {}, warn: () => {} }).open();
		ends.push(async () => redis.close());
		await redis.ready(8000);
		return redis;
	};
	const [publisher, subscriber] = [await open(), await open()];
	const folder = mkdtempSync(join(tmpdir(), "bench-"));
	ends.push(async () => rmSync(folder, { recursive: true }));
	writeFileSync(join(folder, "shardcast.yaml"), file);
	const node = async (id: string) => {
		const flags = ["--config", join(folder, "shardcast.yaml"), "--redis-url", server.url, "--node-id", id];
		const subject = await startBenchCluster("handoff", flags);
		ends.push(subject.stop);
		return subject;
	};
	const nodes = [await node("n1"), await node("n2"), await node("n3")] as const;
	const folderOfSocketIo = installSocketIo(ends);
	const startSocketIos = async (from: string) => [await startSocketIo(from, server.url, ends), await startSocketIo(from, server.url, ends)];
	const socketIos = folderOfSocketIo === null ? null : await startSocketIos(folderOfSocketIo);

	const cpuMsOf = (subjects: readonly Measured[]) => () => subjects.reduce((sum, { servers }) => sum + servers.cpuMs(), 0);
	/** Sends, waits until all of it has come, and says what it cost. */
	const measure = async (subjects: readonly Measured[], send: () => Promise<number>, received: () => number) => {
		const cpuMs = cpuMsOf(subjects);
		const before = { ms: performance.now(), otherCpu: watchOtherCpu(), cpuMs: cpuMs(), redisMs: await cpuMsOfRedis(publisher) };
		const already = received();
		const sent = await send();
		const arrived = (): boolean => {
			if (received() - already >= sent) return true;
			throw new Error(`${received() - already} came`);
		};
		await waitFor(arrived, { deadlineMs: 20_000, what: `${sent} messages on every other node` });
		const tookMs = performance.now() - before.ms;
		const redisMs = (await cpuMsOfRedis(publisher)) - before.redisMs;
		const nodesMs = cpuMs() - before.cpuMs;
		return {
			messagesPerSecond: (sent * 1000) / tookMs,
			nodesCpuUs: (nodesMs * 1000) / sent,
			redisCpuUs: (redisMs * 1000) / sent,
			otherCpuPercent: before.otherCpu(nodesMs + redisMs),
		};
	};

	let bareReceived = 0;
	await subscriber.subscribe("bench", () => bareReceived++, { sharded: true });
	const data = "x".repeat(dataBytes);
	const bare = () =>
		measure(
			[],
			async () => {
				const endsMs = performance.now() + durationMs;
				let sent = 0;
				const one = async () => {
					for (; performance.now() < endsMs; sent++) await publisher.send("bench", ["SPUBLISH", "bench", data]);
				};
				await Promise.all(Array.from({ length: inFlight }, one));
				return sent;
			},
			() => bareReceived,
		);

	let channels = 0;
	/** Clients of one channel, one on each of so many nodes. */
	const clients = async (prefix: string, count = 2) => {
		const channel = `${prefix}${++channels}`;
		const all = await Promise.all(nodes.slice(0, count).map(({ cluster }) => LibraryClient.open(`${cluster.url}/?channels=${channel}`)));
		const [from, ...others] = all;
		// The other nodes have to hear of the channel first.
		await waitFor(
			async () => {
				from!.send("0");
				await pause(20);
				return others.every(({ messages }) => messages.length > 0);
			},
			{ deadlineMs: 10_000, what: "the first message on the other machine" },
		);
		await pause(200);
		/** What has come to the node that is furthest behind. */
		const received = () => Math.min(...others.map(({ messages }) => messages.length));
		return { channel, from: from!, to: others[0]!, received, close: () => Promise.all(all.map((client) => client.close())) };
	};
	const batchFor = (channel: string) => {
		const message = JSON.stringify({ channel, data });
		const body = `[${Array.from({ length: batchMessages }, () => message).join(",")}]`;
		return publishRequest("bench", "application/json", body, batchMessages);
	};
	const through = (prefix: string, count: number) => async () => {
		const { channel, received, close } = await clients(prefix, count);
		const load = await HttpLoad.open(nodes[0].target.httpUrl, connections);
		try {
			// A node without a client of the channel does nothing for it.
			return await measure(nodes.slice(0, count), async () => (await load.flatOut(batchFor(channel), durationMs)).messages, received);
		} finally {
			load.close();
			await close();
		}
	};
	const socketIoClients = async ([first, second]: readonly SocketIoServer[]) => {
		const channel = `room-${++channels}`;
		const [from, to] = [await SocketIoClient.open(first!, channel), await SocketIoClient.open(second!, channel)];
		await waitFor(
			async () => {
				from.send("0");
				await pause(20);
				return to.received > 0;
			},
			{ deadlineMs: 10_000, what: "the first message on the other server of Socket.IO" },
		);
		await pause(200);
		return { channel, from, to, close: () => Promise.all([from.close(), to.close()]) };
	};
	const throughSocketIo = (both: readonly SocketIoServer[]) => async () => {
		const { channel, to, close } = await socketIoClients(both);
		const load = await HttpLoad.open(both[0]!.httpUrl, connections);
		try {
			return await measure(
				both,
				async () => (await load.flatOut(batchFor(channel), durationMs)).messages,
				() => to.received,
			);
		} finally {
			load.close();
			await close();
		}
	};
	const throughputs: Record<string, typeof bare> = {
		bare,
		"history, 2 nodes": through("kept:", 2),
		"history, 3 nodes": through("kept:", 3),
		"plain, 2 nodes": through("plain-", 2),
		"plain, 3 nodes": through("plain-", 3),
		...(socketIos !== null && { "Socket.IO, 2 servers": throughSocketIo(socketIos) }),
	};
	const setup = { shards: benchShards, dataBytes, batchMessages, connections };
	await runBench({
		name: "cluster",
		rounds,
		warmups: 1,
		figures: {
			messagesPerSecond: { unit: "messages/s", better: "higher", help: "published on one node and received on each of the others" },
			nodesCpuUs: {
				unit: "µs",
				better: "lower",
				compared: false,
				help: "CPU of the processes of these nodes per message: three nodes less two is what a further node costs",
			},
			redisCpuUs: { unit: "µs", better: "lower", help: "CPU of Redis per message" },
			otherCpuPercent,
		},
		baseline: "bare",
		variants: throughputs,
		setup,
	});
	console.log("");

	interface Pair {
		send(text: string): void;
		onMessage(listener: (text: string) => void): void;
		close(): Promise<unknown>;
	}
	const latency = (measured: readonly Measured[], open: () => Promise<Pair>) => async () => {
		const pair = await open();
		const tookMs: number[] = [];
		pair.onMessage((text) => tookMs.push(performance.now() - Number(text)));
		const send = (): void => pair.send(String(performance.now()));
		const found = await pacedLatency({ perSecond: pacedPerSecond, ...pacedMs, send, tookMs, cpuMs: cpuMsOf(measured) });
		await pair.close();
		return found;
	};
	const pairOf = (prefix: string) => async (): Promise<Pair> => {
		const { from, to, close } = await clients(prefix);
		const onMessage = (listener: (text: string) => void): void => {
			to.onMessage = ({ bytes }) => listener(bytes.toString());
		};
		return { send: (text) => from.send(text), onMessage, close };
	};
	const pairOfSocketIo = (both: readonly SocketIoServer[]) => async (): Promise<Pair> => {
		const { from, to, close } = await socketIoClients(both);
		const onMessage = (listener: (text: string) => void): void => {
			to.onMessage = listener;
		};
		return { send: (text) => from.send(text), onMessage, close };
	};
	const latencies: Record<string, ReturnType<typeof latency>> = {
		plain: latency(nodes, pairOf("plain-")),
		history: latency(nodes, pairOf("kept:")),
		...(socketIos !== null && { "Socket.IO": latency(socketIos, pairOfSocketIo(socketIos)) }),
	};
	await runBench({
		name: "cluster-latency",
		rounds,
		figures: {
			p50Ms: { unit: "ms", better: "lower" },
			p99Ms: { unit: "ms", better: "lower", help: "from the sender's write on one node to the receiver's read on the other" },
			otherCpuPercent,
		},
		baseline: "plain",
		variants: latencies,
		targets: [{ variant: "history", figure: "p99Ms", atMost: 5 }],
		setup: { ...setup, messagesPerSecond: pacedPerSecond },
	});
});

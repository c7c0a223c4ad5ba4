import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { parseRedisAddress } from "@shardcast/config";
import { Redis } from "@shardcast/redis";
import { LibraryClient, machineBusyMs, RedisServer, waitFor } from "@shardcast/testkit";
import { HttpLoad, publishRequest } from "./support/http-load.ts";
import { otherCpuPercent, roundsFrom, runBench } from "./support/report.ts";
import { benchProgram, benchShards, type Subject, startBenchCluster } from "./support/subject.ts";

/**
 * What it costs to publish on one machine and to receive on another: two nodes of two shards and one Redis, on channels with and without history,
 * against bare pub/sub of that Redis. First as fast as it is taken, in HTTP batches of 100, then the latency at a fixed rate, from a client's write
 * on one node to another client's read on the other. All share this machine.
 */
const dataBytes = 128;
const batchMessages = 100;
const durationMs = 3_000;
const connections = 4;
const pacedPerSecond = 200;
const inFlight = 400;

const rounds = roundsFrom(process.argv.slice(2), 3);
const file = "channel: { namespaces: [{ name: kept, history_size: 1000, history_ttl: 10m }] }\n";

/** CPU of Redis since its start. */
async function redisCpuMs(redis: Redis): Promise<number> {
	const text = String(await redis.send(null, ["INFO", "cpu"]));
	const seconds = ["used_cpu_sys", "used_cpu_user"].map((name) => Number(new RegExp(`${name}:([\\d.]+)`).exec(text)?.[1] ?? Number.NaN));
	return (seconds[0]! + seconds[1]!) * 1000;
}

function ownCpuMs(): number {
	const { user, system } = process.cpuUsage();
	return (user + system) / 1000;
}

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
	const nodes = [await node("n1"), await node("n2")] as const;

	/** Sends, waits until all of it has come, and says what it cost. */
	const measure = async (subjects: readonly Subject[], send: () => Promise<number>, received: () => number) => {
		const cpuMs = () => subjects.reduce((sum, { servers }) => sum + servers.cpuMs(), 0);
		const before = {
			ms: performance.now(),
			machineMs: machineBusyMs(),
			cpuMs: cpuMs(),
			ownMs: ownCpuMs(),
			redisMs: await redisCpuMs(publisher),
		};
		const already = received();
		const sent = await send();
		await waitFor(() => received() - already >= sent, { deadlineMs: 20_000, what: `${sent} messages on the other machine` });
		const tookMs = performance.now() - before.ms;
		const redisMs = (await redisCpuMs(publisher)) - before.redisMs;
		const nodesMs = cpuMs() - before.cpuMs;
		const othersMs = machineBusyMs() - before.machineMs - nodesMs - redisMs - (ownCpuMs() - before.ownMs);
		return {
			messagesPerSecond: (sent * 1000) / tookMs,
			nodesCpuUs: (nodesMs * 1000) / sent,
			redisCpuUs: (redisMs * 1000) / sent,
			otherCpuPercent: (Math.max(0, othersMs) / tookMs) * 100,
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
	/** Two clients of one channel, one on each node. */
	const clients = async (prefix: string) => {
		const channel = `${prefix}${++channels}`;
		const [from, to] = await Promise.all(nodes.map(({ cluster }) => LibraryClient.open(`${cluster.url}/?channels=${channel}`)));
		// The other node has to hear of the channel first.
		await waitFor(
			async () => {
				from!.send("0");
				await pause(20);
				return to!.messages.length > 0;
			},
			{ deadlineMs: 10_000, what: "the first message on the other machine" },
		);
		await pause(200);
		return { channel, from: from!, to: to!, close: () => Promise.all([from!.close(), to!.close()]) };
	};
	const through = (prefix: string) => async () => {
		const { channel, to, close } = await clients(prefix);
		const message = JSON.stringify({ channel, data });
		const body = `[${Array.from({ length: batchMessages }, () => message).join(",")}]`;
		const load = await HttpLoad.open(nodes[0].target.httpUrl, connections);
		try {
			const request = publishRequest("bench", "application/json", body, batchMessages);
			return await measure(
				nodes,
				async () => (await load.flatOut(request, durationMs)).messages,
				() => to.messages.length,
			);
		} finally {
			load.close();
			await close();
		}
	};
	const setup = { nodes: 2, shards: benchShards, dataBytes, batchMessages, connections };
	await runBench({
		name: "cluster",
		rounds,
		warmups: 1,
		figures: {
			messagesPerSecond: { unit: "messages/s", better: "higher", help: "published on one machine and received on the other" },
			nodesCpuUs: { unit: "µs", better: "lower", compared: false, help: "CPU of all processes of both nodes per message" },
			redisCpuUs: { unit: "µs", better: "lower", help: "CPU of Redis per message" },
			otherCpuPercent,
		},
		baseline: "bare",
		variants: { bare, history: through("kept:"), plain: through("plain-") },
		setup,
	});
	console.log("");

	const latency = (prefix: string) => async () => {
		const { from, to, close } = await clients(prefix);
		const [machineMs, ownMs, startedMs] = [machineBusyMs(), ownCpuMs(), performance.now()];
		const serversMs = nodes.reduce((sum, { servers }) => sum + servers.cpuMs(), 0);
		const total = (pacedPerSecond * durationMs) / 1000;
		const took: number[] = [];
		to.onMessage = ({ bytes }) => took.push(performance.now() - Number(bytes.toString()));
		for (let index = 0; index < total; index++) {
			const dueMs = startedMs + (index * 1000) / pacedPerSecond;
			await pause(Math.max(0, dueMs - performance.now()));
			from.send(String(performance.now()));
		}
		await waitFor(() => took.length >= total, { deadlineMs: 10_000, what: `${total} messages on the other machine` });
		const tookMs = performance.now() - startedMs;
		const nodesMs = nodes.reduce((sum, { servers }) => sum + servers.cpuMs(), 0) - serversMs;
		took.sort((one, other) => one - other);
		await close();
		return {
			p50Ms: took[Math.floor(took.length / 2)]!,
			p99Ms: took[Math.floor(took.length * 0.99)]!,
			otherCpuPercent: (Math.max(0, machineBusyMs() - machineMs - nodesMs - (ownCpuMs() - ownMs)) / tookMs) * 100,
		};
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
		variants: { plain: latency("plain-"), history: latency("kept:") },
		targets: [{ variant: "history", figure: "p99Ms", atMost: 5 }],
		setup: { ...setup, messagesPerSecond: pacedPerSecond },
	});
});

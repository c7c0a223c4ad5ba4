import { performance } from "node:perf_hooks";
import { LibraryClient, PostgresServer, waitFor } from "@shardcast/testkit";
import { pacedLatency } from "./support/paced-latency.ts";
import { otherCpuPercent, roundsFrom, runBench } from "./support/report.ts";
import { benchProgram, benchShards, startBenchCluster } from "./support/subject.ts";

/**
 * How long a message takes from the COMMIT of the backend's transaction to a client's read: through the outbox, against plain LISTEN and NOTIFY of the
 * same PostgreSQL. Each transaction inserts one row and is alone; PostgreSQL does not wait for its disk.
 */
const durationMs = 10_000;
const warmupMs = 3_000;
const transactionsPerSecond = 100;
const dataBytes = 128;

const rounds = roundsFrom(process.argv.slice(2), 3);

interface Message {
	readonly n: number;
}

await benchProgram(async (ends) => {
	const server = await PostgresServer.start();
	ends.push(() => server.stop());
	const subject = await startBenchCluster("handoff", ["--postgres-url", server.url]);
	ends.push(subject.stop);
	const [writer, listener] = await Promise.all([server.connect(), server.connect()]);
	ends.push(async () => void (await Promise.all([writer.end(), listener.end()])));
	await writer.query("CREATE TABLE plain (data json)");
	await listener.query("LISTEN bench");
	const client = await LibraryClient.open(`${subject.cluster.url}/?channels=bench`);
	ends.push(() => client.close());

	/** When the COMMIT of each transaction was sent, and how long its message took. */
	const sentMs = new Map<number, number>();
	const tookMs: number[] = [];
	const received = (n: number): void => {
		const atMs = sentMs.get(n);
		if (atMs !== undefined) tookMs.push(performance.now() - atMs);
		sentMs.delete(n);
	};
	client.onMessage = ({ bytes }) => received((JSON.parse(bytes.toString()) as Message).n);
	listener.on("notification", ({ payload }) => received((JSON.parse(payload!) as Message).n));

	let last = 0;
	const transaction = async (statement: string): Promise<void> => {
		const n = ++last;
		const data = JSON.stringify({ n, text: "x".repeat(dataBytes) });
		await writer.query("BEGIN");
		await writer.query(statement, [data]);
		sentMs.set(n, performance.now());
		await writer.query("COMMIT");
	};
	const cpuMs = () => subject.servers.cpuMs();
	const measure = (statement: string) => async () => {
		await transaction(statement);
		await waitFor(() => sentMs.size === 0, { deadlineMs: 20_000, what: "the first message" });
		tookMs.length = 0;
		// The other CPU is with PostgreSQL, whose processes are not counted apart.
		return pacedLatency({ perSecond: transactionsPerSecond, durationMs, warmupMs, send: () => transaction(statement), tookMs, cpuMs });
	};
	await runBench({
		name: "outbox",
		rounds,
		warmups: 1,
		figures: {
			p50Ms: { unit: "ms", better: "lower" },
			p99Ms: { unit: "ms", better: "lower", help: "from the COMMIT that the backend sends to the client's read" },
			otherCpuPercent,
		},
		baseline: "notify",
		variants: {
			notify: measure("WITH stored AS (INSERT INTO plain VALUES ($1::text::json)) SELECT pg_notify('bench', $1::text)"),
			outbox: measure("INSERT INTO shardcast.outbox (channel, data) VALUES ('bench', $1)"),
		},
		targets: [{ variant: "outbox", figure: "p99Ms", atMost: 20 }],
		setup: { shards: benchShards, dataBytes, transactionsPerSecond },
	});
});

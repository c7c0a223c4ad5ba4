import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Scrape, waitFor } from "@shardcast/testkit";
import { channelName } from "../audience.ts";
import type { LoadGenerator } from "../generator.ts";
import { pathWithChannel } from "../target.ts";
import { measureSend } from "./support/measured-send.ts";
import { otherCpuPercent, roundsFrom, runBench } from "./support/report.ts";
import { SlowClients } from "./support/slow-clients.ts";
import { benchClients, benchProgram, benchShards, connectAll, type Subject, startBenchCluster } from "./support/subject.ts";

/**
 * What clients that have stopped reading cost those that read, by what happens to the stalled ones: latency and CPU of the fast ones alone, against
 * the same while others stall; and the memory that the stalled ones take. Those of `disconnect` are closed in the course of the measurement, the
 * others stay connected.
 */
const fastClients = 1_000;
const stalledClients = 300;
/** For the memory alone. */
const manyStalled = 1_000;
/** 100 of them to 1,000 clients nearly fill two cores, the generator's part included; at half of it, what stalled clients cost is seen without queues. */
const rates = [100, 50] as const;
const bytes = 4096;
const measureMs = 8_000;
/** Messages to each stalled client alone until kernel and buffers are full. */
const fillMessages = 2_000;
/**
 * Messages after which a stalled client is closed for sure, those that are measured included. Before that the kernel's buffers are nearly full; those of
 * the shards fill during the measurement.
 */
const messagesUntilClosed = 1_600;
/** Stalled clients get what is published here, and fast ones do not: what fills the buffers must not delay those that are measured. */
const fillChannel = "fill";
const closedMs = 20_000;
const mebibyte = 1_048_576;
/** The default of `--max-buffered-total`. */
const totalMiB = 1024;

type Policy = "disconnect" | "drop-oldest" | "keep-latest";
interface Side {
	readonly policy: Policy;
	readonly subject: Subject;
	readonly fast: LoadGenerator;
}

/** What the server processes held at most: by looks, of which each takes some milliseconds of CPU. Look once more at the end. */
class Most {
	readonly #subject: Subject;
	readonly #timer: NodeJS.Timeout;
	#pssBytes = 0;
	#unreadBytes = 0;

	constructor(subject: Subject, everyMs: number) {
		this.#subject = subject;
		const look = () =>
			this.look().catch(() => {
				// The next one may succeed, and the last one must.
			});
		this.#timer = setInterval(look, everyMs);
	}

	stop(): void {
		clearInterval(this.#timer);
	}

	async look(): Promise<{ pssBytes: number; unreadMiB: number }> {
		this.#pssBytes = Math.max(this.#pssBytes, this.#subject.servers.pssBytes());
		const scrape = await Scrape.of(this.#subject.target.httpUrl);
		for (let shard = 0; shard < benchShards; shard++)
			this.#unreadBytes = Math.max(this.#unreadBytes, scrape.sum("shardcast_unread_bytes", { shard: String(shard) }));
		return { pssBytes: this.#pssBytes, unreadMiB: this.#unreadBytes / mebibyte };
	}
}

const rounds = roundsFrom(process.argv.slice(2), 3);

await benchProgram(async (ends) => {
	const folder = mkdtempSync(join(tmpdir(), "shardcast-bench-"));
	ends.push(async () => rmSync(folder, { recursive: true }));
	const sides = {} as Record<Policy, Side>;
	for (const policy of ["disconnect", "drop-oldest", "keep-latest"] as const) {
		const file = join(folder, `${policy}.yaml`);
		writeFileSync(file, `channel: { slow_client: ${policy} }\n`);
		const subject = await startBenchCluster("handoff", ["--config", file]);
		ends.push(() => subject.stop());
		const fast = benchClients(subject.target, fastClients, { channels: 1 });
		ends.push(() => fast.close("reset"));
		await connectAll(fast, fastClients);
		sides[policy] = { policy, subject, fast };
		await load(sides[policy], rates[0], 2_000);
	}
	const { disconnect, "drop-oldest": oldest, "keep-latest": latest } = sides;
	const figures = {
		p99Ms: { unit: "ms", better: "lower", help: "from publish to receive, of the clients that read" },
		cpuUs: { unit: "µs", better: "lower", help: "CPU of all server processes per message that such a client got" },
		otherCpuPercent,
		stalledKiB: { unit: "KiB", better: "lower", compared: false, help: "growth of the Pss of all server processes per stalled client" },
		unreadMiB: {
			unit: "MiB",
			better: "lower",
			compared: false,
			help: `the most that a shard held unread; --max-buffered-total is ${totalMiB}`,
		},
	} as const;
	for (const rate of rates)
		await runBench({
			name: `slow-${rate}`,
			rounds,
			warmups: 0,
			figures,
			baseline: "alone",
			variants: {
				alone: async () => ({ ...(await load(oldest, rate, measureMs)), stalledKiB: 0, unreadMiB: 0 }),
				disconnect: () => whileOthersStall(disconnect, stalledClients, rate),
				"drop-oldest": () => whileOthersStall(oldest, stalledClients, rate),
				"keep-latest": () => whileOthersStall(latest, stalledClients, rate),
			},
			targets: [
				{ variant: "disconnect", figure: "p99Ms", ratioAtMost: 1.2 },
				{ variant: "drop-oldest", figure: "p99Ms", ratioAtMost: 1.2 },
				{ variant: "keep-latest", figure: "p99Ms", ratioAtMost: 1.2 },
			],
			setup: { fastClients, stalledClients, messagesPerSecond: rate, bytes, shards: benchShards },
		});
	await runBench({
		name: "slow-memory",
		rounds: 1,
		warmups: 0,
		figures,
		baseline: "disconnect",
		variants: {
			disconnect: () => whileOthersStall(disconnect, manyStalled, rates[0]),
			"drop-oldest": () => whileOthersStall(oldest, manyStalled, rates[0]),
		},
		targets: [
			{ variant: "disconnect", figure: "unreadMiB", atMost: totalMiB },
			{ variant: "drop-oldest", figure: "unreadMiB", atMost: totalMiB },
		],
		setup: { fastClients, stalledClients: manyStalled, messagesPerSecond: rates[0], bytes, shards: benchShards },
	});
});

/** @throws when a fast client was touched: a message lost, doubled or out of order, a connection closed. */
async function load(
	{ subject, fast }: Side,
	rate: number,
	durationMs: number,
): Promise<{ p99Ms: number; cpuUs: number; otherCpuPercent: number }> {
	const { send, cpuMs, otherCpuPercent } = await measureSend(subject, fast, { rate, bytes, durationMs, settleMs: 15_000 });
	return { p99Ms: send.latency.p99Ms, cpuUs: (cpuMs * 1000) / send.deliveries, otherCpuPercent };
}

/** @throws when the stalled clients were not treated as the policy says. */
async function whileOthersStall(side: Side, count: number, rate: number) {
	const { subject, policy } = side;
	const stalled = await SlowClients.open(subject.target, count, pathWithChannel(subject.target.path, `${channelName(0)},${fillChannel}`));
	const closes = policy === "disconnect";
	try {
		const before = await counted(subject);
		const bytesBefore = subject.servers.pssBytes();
		stalled.stall();
		await fill(subject, closes ? messagesUntilClosed - (rate * measureMs) / 1000 : fillMessages);
		// With the usual number, nothing else happens while latency is measured.
		const most = new Most(subject, count === manyStalled ? 500 : 2 * measureMs);
		const measured = await load(side, rate, measureMs).finally(() => most.stop());
		const { unreadMiB, pssBytes } = await most.look();
		const stalledKiB = (pssBytes - bytesBefore) / 1024 / count;
		if (closes) {
			const closed = async () => (await counted(subject)).closed - before.closed;
			await waitFor(async () => (await closed()) === count, { deadlineMs: closedMs, what: `${count} stalled clients to be closed` });
		} else {
			if (stalled.gone > 0) throw new Error(`${stalled.gone} stalled clients were closed`);
			if ((await counted(subject)).dropped === before.dropped) throw new Error("the stalled clients missed nothing");
		}
		return { ...measured, stalledKiB, unreadMiB };
	} finally {
		stalled.close();
	}
}

/** One message after the other, so that no shard has a backlog of them. */
async function fill({ target }: Subject, messages: number): Promise<void> {
	const url = `${target.httpUrl}/api/publish?channel=${fillChannel}`;
	const request = { method: "POST", headers: { "content-type": "application/octet-stream" }, body: new Uint8Array(bytes) };
	for (let message = 0; message < messages; message++) {
		const answer = await fetch(url, request);
		if (!answer.ok) throw new Error(`publishing answered ${answer.status}: ${await answer.text()}`);
		await answer.arrayBuffer();
	}
}

async function counted({ target }: Subject): Promise<{ dropped: number; closed: number }> {
	const scrape = await Scrape.of(target.httpUrl);
	const dropped = ["slow_client_oldest", "slow_client_replaced", "slow_client_memory"];
	return {
		dropped: dropped.reduce((sum, reason) => sum + scrape.sum("shardcast_drops_total", { reason }), 0),
		closed: scrape.sum("shardcast_disconnects_total", { code: "3008" }),
	};
}

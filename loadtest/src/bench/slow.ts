import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Scrape, waitFor } from "@shardcast/testkit";
import type { LoadGenerator } from "../generator.ts";
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
const messagesPerSecond = 100;
const bytes = 4096;
const measureMs = 8_000;
/** Until kernel and buffers are full, at a higher rate: messages to each client. */
const fillMessages = 2_000;
/** Until the kernel's buffers are nearly full: those of the shards fill during the measurement, and then the clients are closed. */
const fillMessagesOfClosed = 800;
/** Deliveries per second, which two cores can make. */
const fillDeliveries = 500_000;
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
		const fast = benchClients(subject.target, fastClients);
		ends.push(() => fast.close("reset"));
		await connectAll(fast, fastClients);
		sides[policy] = { policy, subject, fast };
		await load(sides[policy], messagesPerSecond, 2_000);
	}
	const { disconnect, "drop-oldest": oldest, "keep-latest": latest } = sides;
	await runBench({
		name: "slow",
		rounds,
		warmups: 0,
		figures: {
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
		},
		baseline: "alone",
		variants: {
			alone: async () => ({ ...(await load(oldest, messagesPerSecond, measureMs)), stalledKiB: 0, unreadMiB: 0 }),
			disconnect: () => whileOthersStall(disconnect, stalledClients),
			"drop-oldest": () => whileOthersStall(oldest, stalledClients),
			"keep-latest": () => whileOthersStall(latest, stalledClients),
			"disconnect, 1,000 stalled": () => whileOthersStall(disconnect, manyStalled),
			"drop-oldest, 1,000 stalled": () => whileOthersStall(oldest, manyStalled),
		},
		targets: [
			{ variant: "disconnect", figure: "p99Ms", ratioAtMost: 1.2 },
			{ variant: "drop-oldest", figure: "p99Ms", ratioAtMost: 1.2 },
			{ variant: "keep-latest", figure: "p99Ms", ratioAtMost: 1.2 },
			{ variant: "disconnect, 1,000 stalled", figure: "unreadMiB", atMost: totalMiB },
			{ variant: "drop-oldest, 1,000 stalled", figure: "unreadMiB", atMost: totalMiB },
		],
		setup: { fastClients, stalledClients, manyStalled, messagesPerSecond, bytes, shards: benchShards },
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
async function whileOthersStall(side: Side, count: number) {
	const { subject, policy } = side;
	const stalled = await SlowClients.open(subject.target, count);
	const closes = policy === "disconnect";
	try {
		const before = await counted(subject);
		const bytesBefore = subject.servers.pssBytes();
		stalled.stall();
		const rate = Math.round(fillDeliveries / (fastClients + count));
		await load(side, rate, ((closes ? fillMessagesOfClosed : fillMessages) / rate) * 1000);
		// With the usual number, nothing else happens while latency is measured.
		const most = new Most(subject, count === manyStalled ? 500 : 2 * measureMs);
		const measured = await load(side, messagesPerSecond, measureMs).finally(() => most.stop());
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

async function counted({ target }: Subject): Promise<{ dropped: number; closed: number }> {
	const scrape = await Scrape.of(target.httpUrl);
	const dropped = ["slow_client_oldest", "slow_client_replaced", "slow_client_memory"];
	return {
		dropped: dropped.reduce((sum, reason) => sum + scrape.sum("shardcast_drops_total", { reason }), 0),
		closed: scrape.sum("shardcast_disconnects_total", { code: "3008" }),
	};
}

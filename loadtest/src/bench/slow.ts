import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Scrape } from "@shardcast/testkit";
import type { LoadGenerator } from "../generator.ts";
import { measureSend } from "./support/measured-send.ts";
import { otherCpuPercent, roundsFrom, runBench } from "./support/report.ts";
import { SlowClients } from "./support/slow-clients.ts";
import { benchClients, benchProgram, benchShards, connectAll, type Subject, startBenchCluster } from "./support/subject.ts";

/**
 * What clients that have stopped reading cost those that read, when publications to slow clients may be dropped: latency and CPU of the fast
 * ones alone, against the same while others stall. The stalled ones stay connected.
 */
const fastClients = 1_000;
const stalledClients = 300;
const messagesPerSecond = 100;
const bytes = 4096;
const measureMs = 8_000;
/** Until kernel and buffers are full, at a higher rate. */
const fillPerSecond = 500;
const fillMs = 4_000;

const rounds = roundsFrom(process.argv.slice(2), 3);

await benchProgram(async (ends) => {
	const folder = mkdtempSync(join(tmpdir(), "shardcast-bench-"));
	ends.push(async () => rmSync(folder, { recursive: true }));
	for (const policy of ["drop-oldest", "keep-latest"] as const)
		writeFileSync(join(folder, `${policy}.yaml`), `channel: { without_namespace: { slow_client: ${policy} } }\n`);
	const subjects = new Map<string, { readonly subject: Subject; readonly fast: LoadGenerator }>();
	for (const policy of ["drop-oldest", "keep-latest"] as const) {
		const subject = await startBenchCluster("handoff", ["--config", join(folder, `${policy}.yaml`)]);
		ends.push(() => subject.stop());
		const fast = benchClients(subject.target, fastClients);
		ends.push(() => fast.close("reset"));
		await connectAll(fast, fastClients);
		await load(subject, fast, messagesPerSecond, 2_000);
		subjects.set(policy, { subject, fast });
	}
	const { subject, fast } = subjects.get("drop-oldest")!;
	const latest = subjects.get("keep-latest")!;
	await runBench({
		name: "slow",
		rounds,
		warmups: 0,
		figures: {
			p99Ms: { unit: "ms", better: "lower", help: "from publish to receive, of the clients that read" },
			cpuUs: { unit: "µs", better: "lower", help: "CPU of all server processes per message that such a client got" },
			otherCpuPercent,
			stalledKiB: { unit: "KiB", better: "lower", compared: false, help: "growth of the Pss of all server processes per stalled client" },
		},
		baseline: "alone",
		variants: {
			alone: async () => ({ ...(await load(subject, fast, messagesPerSecond, measureMs)), stalledKiB: 0 }),
			"drop-oldest": () => whileOthersStall(subject, fast),
			"keep-latest": () => whileOthersStall(latest.subject, latest.fast),
		},
		targets: [
			{ variant: "drop-oldest", figure: "p99Ms", ratioAtMost: 1.2 },
			{ variant: "keep-latest", figure: "p99Ms", ratioAtMost: 1.2 },
		],
		setup: { fastClients, stalledClients, messagesPerSecond, bytes, shards: benchShards },
	});
});

/** @throws when a fast client was touched: a message lost, doubled or out of order, a connection closed. */
async function load(
	subject: Subject,
	fast: LoadGenerator,
	rate: number,
	durationMs: number,
): Promise<{ p99Ms: number; cpuUs: number; otherCpuPercent: number }> {
	const { send, cpuMs, otherCpuPercent } = await measureSend(subject, fast, { rate, bytes, durationMs, settleMs: 5_000 });
	return { p99Ms: send.latency.p99Ms, cpuUs: (cpuMs * 1000) / send.deliveries, otherCpuPercent };
}

/** @throws when a stalled client was closed, or nothing was dropped: then they were not stalled for long enough. */
async function whileOthersStall(subject: Subject, fast: LoadGenerator) {
	const stalled = await SlowClients.open(subject.target, stalledClients);
	try {
		const dropped = await drops(subject);
		const bytesBefore = subject.servers.pssBytes();
		stalled.stall();
		await load(subject, fast, fillPerSecond, fillMs);
		const measured = await load(subject, fast, messagesPerSecond, measureMs);
		const stalledKiB = (subject.servers.pssBytes() - bytesBefore) / 1024 / stalledClients;
		if (stalled.gone > 0) throw new Error(`${stalled.gone} stalled clients were closed`);
		if ((await drops(subject)) === dropped) throw new Error("the stalled clients missed nothing");
		return { ...measured, stalledKiB };
	} finally {
		stalled.close();
	}
}

async function drops({ target }: Subject): Promise<number> {
	const scrape = await Scrape.of(target.httpUrl);
	return ["slow_client_oldest", "slow_client_replaced"].reduce((sum, reason) => sum + scrape.sum("shardcast_drops_total", { reason }), 0);
}

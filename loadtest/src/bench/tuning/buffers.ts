import { setTimeout as sleep } from "node:timers/promises";
import { kernelBytesPerConnection, Scrape } from "@shardcast/testkit";
import type { LoadGenerator } from "../../generator.ts";
import { measureSend } from "../support/measured-send.ts";
import { SlowClients } from "../support/slow-clients.ts";
import { spreadOf } from "../support/spread.ts";
import { benchClients, connectAll, type Subject, withCleanup } from "../support/subject.ts";
import { startClusterWithFlags } from "./flagged-cluster.ts";

/**
 * What a client that stops reading costs, and how long it is tolerated: some clients read as fast as they can, others stop, and
 * everybody is sent the same. The rule that is tried: a stall is survived while its bytes fit into the kernel's buffers and
 * `--max-buffered` together.
 */
export const stallLoad = { fastClients: 100, slowClients: 100, messagesPerSecond: 500, bytes: 4096 } as const;

/** Frame head of a message of that size. */
const headBytes = 4;
const bytesPerSecond = stallLoad.messagesPerSecond * (stallLoad.bytes + headBytes);

export const stallFigures = {
	kernelKiB: { unit: "KiB", better: "lower", compared: false, help: "what the kernel held of a stalled client at both ends" },
	foreseenMs: { unit: "ms", better: "higher", compared: false, help: "(kernel's bytes + --max-buffered) / (bytes/s)" },
	survivedMs: { unit: "ms", better: "higher", help: "stall whose messages a client still got before its close with 3008" },
	closedAt90Percent: { unit: "%", better: "lower", compared: false, help: "clients closed after a stall of 90 % of the foreseen one" },
	closedAt110Percent: { unit: "%", better: "lower", compared: false, help: "the same of 110 %" },
	serversKiB: { unit: "KiB per slow client", better: "lower", help: "growth of the Pss of all server processes when it was full" },
	calmP99Ms: { unit: "ms", better: "lower", help: "latency of the fast clients while the others read as well" },
	stalledP99Ms: { unit: "ms", better: "lower", help: "latency of the fast clients while the others stall and are closed" },
	calmCpuUs: { unit: "µs", better: "lower", help: "CPU of all server processes per message that a client got, while all read" },
	stalledCpuUs: { unit: "µs", better: "lower", help: "the same while the others stall" },
} as const;
type Figure = keyof typeof stallFigures;

const warmMs = 1_000;
const calmMs = 3_000;
const chunkMs = 500;
/** Pause before and after a stall of a given length within its load. */
const marginMs = 400;
const openToCountMs = 200;

/** @param kernelBytes roughly what the kernel buffers per client. Determines how long the first load must last. */
export function measureStalls(maxBufferedBytes: number, kernelBytes: number): Promise<Record<Figure, number>> {
	return withCleanup(async (ends) => {
		const subject = await startClusterWithFlags({ flags: ["--max-buffered", String(maxBufferedBytes)] });
		ends.push(subject.stop);
		const generator = benchClients(subject.target, stallLoad.fastClients);
		ends.push(() => generator.close("reset"));
		await connectAll(generator, stallLoad.fastClients);
		await load(subject, generator, warmMs);
		const untilFullMs = ((maxBufferedBytes + kernelBytes) / bytesPerSecond) * 1000 + marginMs;
		const { calm, full } = await stallUntilFull(subject, generator, untilFullMs);
		const foreseenMs = ((full.heldBytes + maxBufferedBytes) / bytesPerSecond) * 1000;
		return {
			kernelKiB: full.heldBytes / 1024,
			foreseenMs,
			survivedMs: full.survivedMs,
			closedAt90Percent: await closedAfter(subject, generator, foreseenMs * 0.9),
			closedAt110Percent: await closedAfter(subject, generator, foreseenMs * 1.1),
			serversKiB: full.grownBytes / 1024 / stallLoad.slowClients,
			calmP99Ms: calm.p99Ms,
			stalledP99Ms: full.p99Ms,
			calmCpuUs: (calm.cpuMs * 1000) / calm.deliveries,
			stalledCpuUs: (full.cpuMs * 1000) / full.deliveries,
		};
	});
}

interface Loaded {
	/** To the fast clients. */
	readonly deliveries: number;
	readonly cpuMs: number;
	readonly p99Ms: number;
}

/** @throws when a fast client was touched: a message lost, doubled or out of order, a connection closed. */
async function load(subject: Subject, generator: LoadGenerator, durationMs: number): Promise<Loaded> {
	const { messagesPerSecond: rate, bytes } = stallLoad;
	const { send, cpuMs } = await measureSend(subject, generator, { rate, bytes, durationMs, settleMs: 5_000 });
	return { deliveries: send.deliveries, cpuMs, p99Ms: send.latency.p99Ms };
}

async function stallUntilFull(
	subject: Subject,
	generator: LoadGenerator,
	durationMs: number,
): Promise<{ calm: Loaded; full: Loaded & { heldBytes: number; survivedMs: number; grownBytes: number } }> {
	const slow = await SlowClients.open(subject.target, stallLoad.slowClients);
	try {
		const calm = await load(subject, generator, calmMs);
		const dropsBefore = await drops(subject);
		const bytesBefore = subject.servers.pssBytes();
		slow.stall();
		// Nothing is looked at meanwhile: reading the memory of a shard stops it for some milliseconds.
		const loaded = await load(subject, generator, durationMs);
		while ((await drops(subject)) - dropsBefore < slow.count) await load(subject, generator, chunkMs);
		const grownBytes = subject.servers.pssBytes() - bytesBefore;
		const heldBytes = kernelBytesPerConnection(slow.ports);
		slow.resume();
		await slow.allClosedAsSlow();
		const borne = slow.messagesBorne();
		const deliveries = loaded.deliveries + borne.reduce((sum, count) => sum + count, 0);
		const survivedMs = (spreadOf(borne).median * 1000) / stallLoad.messagesPerSecond;
		return {
			calm: { ...calm, deliveries: calm.deliveries + slow.receivedBeforeStall },
			full: { ...loaded, deliveries, heldBytes, survivedMs, grownBytes },
		};
	} finally {
		slow.close();
	}
}

/** Percentage of clients closed for a stall of this length. */
async function closedAfter(subject: Subject, generator: LoadGenerator, stallMs: number): Promise<number> {
	const slow = await SlowClients.open(subject.target, stallLoad.slowClients);
	try {
		const loading = load(subject, generator, stallMs + 2 * marginMs);
		await sleep(marginMs);
		slow.stall();
		await sleep(stallMs);
		slow.resume();
		await loading;
		await sleep(openToCountMs);
		return (slow.closedAsSlow() / slow.count) * 100;
	} finally {
		slow.close();
	}
}

/** Messages that a slow client could not take, counted since the cluster began. */
async function drops({ target }: Subject): Promise<number> {
	return (await Scrape.of(target.httpUrl)).sum("shardcast_drops_total", { reason: "slow_client" });
}

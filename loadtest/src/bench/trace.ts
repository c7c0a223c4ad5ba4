import { postJson, Scrape, waitFor } from "@shardcast/testkit";
import { roundsFrom, runBench } from "./support/report.ts";
import { benchClients, benchProgram, benchShards, connectAll, type Subject, startBenchCluster } from "./support/subject.ts";

/**
 * What traces and the log of slow messages cost: the same publications to the same clients, with both off, with them on but nothing traced or slow,
 * with one in a hundred traced, and with all. The collector cannot be reached, which is what costs most.
 */
const clients = 200;
const messages = 1000;
/** Messages of one request. */
const batch = 20;
const text = "x".repeat(100);
const watched = ["--otlp-endpoint", "http://127.0.0.1:9", "--slow-message-log", "1h"];

const rounds = roundsFrom(process.argv.slice(2), 3);

await benchProgram(async (ends) => {
	const start = async (flags: readonly string[]) => {
		const subject = await startBenchCluster("handoff", flags);
		ends.push(() => subject.stop());
		const receivers = benchClients(subject.target, clients, { channels: 1 });
		ends.push(() => receivers.close("reset"));
		await connectAll(receivers, clients);
		return subject;
	};
	const off = await start([]);
	const idle = await start([...watched, "--trace-sample", "0"]);
	const some = await start([...watched, "--trace-sample", "0.01"]);
	const all = await start([...watched, "--trace-sample", "1"]);
	await runBench({
		name: "trace",
		rounds,
		figures: { cpuUs: { unit: "µs", better: "lower", help: "CPU of all server processes per message and client" } },
		baseline: "off",
		variants: { off: () => measure(off), idle: () => measure(idle), some: () => measure(some), all: () => measure(all) },
		setup: { clients, messages, batch, bytes: text.length, shards: benchShards },
	});
});

/** @throws unless every client was sent every message. */
async function measure(subject: Subject): Promise<{ cpuUs: number }> {
	const url = `${subject.target.httpUrl}/api/publish`;
	const [sentBefore, cpuBefore] = [await deliveries(subject), subject.servers.cpuMs()];
	for (let n = 0; n < messages; n += batch)
		await postJson(
			url,
			Array.from({ length: batch }, () => ({ data: text })),
		);
	const delivered = async () => (await deliveries(subject)) - sentBefore;
	await waitFor(async () => (await delivered()) >= clients * messages, { deadlineMs: 60_000, what: "all deliveries" });
	const count = await delivered();
	if (count !== clients * messages) throw new Error(`${count} deliveries instead of ${clients * messages}`);
	return { cpuUs: ((subject.servers.cpuMs() - cpuBefore) * 1000) / count };
}

async function deliveries({ target }: Subject): Promise<number> {
	return (await Scrape.of(target.httpUrl)).sum("shardcast_deliveries_total");
}

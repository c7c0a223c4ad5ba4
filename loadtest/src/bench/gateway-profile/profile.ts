import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GatewaySubject } from "../gateway/gateway-subject.ts";
import { benchProgram } from "../support/subject.ts";
import { CountingBackend, CountingClient, payloadBytes, toBackends, toClients } from "./gateway-load.ts";
import { allocatedDuring, legend } from "./heap-profile.ts";

/**
 * What a gateway process allocates per message, as V8's sampling heap profiler sees it: `npm run profile:gateway [messages]`. Its last line is JSON.
 */
const usage = "usage: npm run profile:gateway -- [messages]   from 10000 to 100000000; 1000000 when it is not given";
if (process.argv[2] === "--help") {
	console.log(usage);
	process.exit(0);
}
const messages = Number(process.argv[2] ?? 1_000_000);
if (!Number.isInteger(messages) || messages < 10_000 || messages > 100_000_000) {
	console.error(`${process.argv[2]}: not a number of messages\n${usage}`);
	process.exit(2);
}
/** The compiler has to be through, and each buffer has to have seen the lengths. */
const warmup = 100_000;

await benchProgram(async (ends) => {
	const folder = mkdtempSync(join(tmpdir(), "shardcast-profile-"));
	ends.push(async () => rmSync(folder, { recursive: true }));
	const file = join(folder, "heap.json");
	const opened = [await CountingBackend.open(ends), await CountingBackend.open(ends)];
	const backends = opened.map(({ backend }) => backend);
	const probe = join(import.meta.dirname, "heap-probe.js");
	const gateway = await GatewaySubject.start(
		opened.map(({ port }) => port),
		{ env: { NODE_OPTIONS: `--import=${probe}`, HEAP_PROBE_FILE: file } },
	);
	ends.push(() => gateway.stop());
	const clients: CountingClient[] = [];
	ends.push(async () => {
		for (const { socket } of clients) socket.reset();
	});
	for (let count = 0; count < 8; count++) clients.push(await CountingClient.open(gateway.port));
	const result: Record<string, Record<"messages" | "bytesPerMessage" | "native" | "views" | "shardcast" | "others", number>> = {};
	for (const [name, pass] of [
		["backend to client", toClients],
		["client to backend", toBackends],
	] as const) {
		await pass(clients, backends, warmup);
		let passed = 0;
		const allocated = await allocatedDuring(gateway.pid, file, async () => {
			passed = await pass(clients, backends, messages);
		});
		const perMessage = (bytes: number) => Math.round((10 * bytes) / passed) / 10;
		const { all, native, views, shardcast, sites } = allocated;
		const share = {
			bytesPerMessage: perMessage(all),
			native: perMessage(native),
			views: perMessage(views),
			shardcast: perMessage(shardcast),
			others: perMessage(all - native - views - shardcast),
		};
		result[name] = { messages: passed, ...share };
		const row = (bytes: number, what: string) => console.log(`${bytes.toFixed(1).padStart(10)} ${what}`);
		console.log(`${name}: ${passed} messages of ${payloadBytes} bytes. Bytes that were allocated per message:`);
		row(share.bytesPerMessage, "in all, of which");
		row(share.native, "by native code");
		row(share.views, "views of what it gives");
		row(share.shardcast, "by shardcast, without the views");
		row(share.others, "by Node.js, most of it for each write");
		console.log("  The functions that allocate the most:");
		for (const site of sites.slice(0, 12)) row(perMessage(site.bytes), site.name);
	}
	console.log(legend);
	console.log(JSON.stringify(result));
});

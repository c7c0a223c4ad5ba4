import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GatewaySubject } from "../gateway/gateway-subject.ts";
import { benchProgram } from "../support/subject.ts";
import { CountingBackend, CountingClient, payloadBytes, toBackends, toClients } from "./gateway-load.ts";
import { allocatedDuring } from "./heap-profile.ts";

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
	const result: Record<string, { messages: number; bytesPerMessage: number; ours: number; views: number }> = {};
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
		result[name] = {
			messages: passed,
			bytesPerMessage: perMessage(allocated.all),
			ours: perMessage(allocated.ours),
			views: perMessage(allocated.views),
		};
		console.log(`${name}: ${passed} messages of ${payloadBytes} bytes`);
		console.log(
			`  ${perMessage(allocated.all)} bytes per message, of which shardcast and what it calls ${perMessage(allocated.ours)}, ${perMessage(allocated.views)} of these for views of what uWebSockets.js gives`,
		);
		for (const site of allocated.sites.slice(0, 12)) console.log(`  ${perMessage(site.bytes).toFixed(1).padStart(8)} ${site.name}`);
	}
	console.log(JSON.stringify(result));
});

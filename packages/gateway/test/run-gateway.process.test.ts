import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManagedProcess, waitFor } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";
import type { GatewayReport } from "../src/monitor/gateway-report.ts";
import { FakeBackend, frameBytes } from "./support/fake-backend.ts";
import { RigClient } from "./support/gateway-rig.ts";

const main = join(import.meta.dirname, "../../../apps/supervisor/dist/main.js");
const opened: { stop?(): unknown; close?(): unknown }[] = [];
afterEach(async () => {
	for (const each of opened.splice(0).reverse()) await (each.stop?.() ?? each.close?.());
});

async function run(...args: readonly string[]): Promise<ManagedProcess> {
	const program = await ManagedProcess.start(main, ["gateway", ...args], { env: {} });
	opened.push(program);
	return program;
}

describe("shardcast gateway", () => {
	it("says where it listens and that it is open, reports, and on SIGTERM closes clients with 1001 and backends cleanly", async () => {
		const backend = await FakeBackend.open();
		opened.push(backend);
		const program = await run("127.0.0.1:0", `127.0.0.1:${backend.port}`, "--monitor-interval", "200ms", "--log-format", "json");
		const serves =
			/shardcast gateway, pid \d+: ws:\/\/127\.0\.0\.1:(\d+), (http:\/\/127\.0\.0\.1:\1)\/health, \2\/console; to the backend \S+; open mode/;
		const [, port] = await program.waitForOutput(serves, 20_000);
		await program.waitForOutput(/open mode: every client that reaches this gateway/, 5000);
		await program.waitForOutput(new RegExp(`\\[1\\] 127\\.0\\.0\\.1:${backend.port} \\[CLOSED\\] fails=0 sent=`), 20_000);
		const client = await new RigClient(`ws://127.0.0.1:${port}`).welcome();
		const ready = await fetch(`http://127.0.0.1:${port}/ready`);
		expect([ready.status, await ready.json()]).toEqual([200, { ready: true }]);
		const link = await backend.connection("control");
		process.kill(program.pid, "SIGTERM");
		expect(await client.closing()).toEqual({ code: 1001, reason: "shutdown" });
		expect((await program.exited).code).toBe(0);
		await waitFor(() => link.isClosed, { deadlineMs: 5000, what: "the connection has ended" });
		expect(link.messages.at(-1)).toEqual({ type: "client_left", client: client.id });
	});

	it("takes its options from a file, and new ones on SIGHUP; what is fixed waits for a restart, and a mistake changes nothing", async () => {
		const folder = mkdtempSync(join(tmpdir(), "gateway-"));
		opened.push({ stop: () => rmSync(folder, { recursive: true }) });
		const backend = await FakeBackend.open();
		opened.push(backend);
		const file = join(folder, "gateway.yaml");
		const write = (timeout: string, queue: number): void =>
			writeFileSync(
				file,
				`gateway:\n  address: 127.0.0.1:0\n  backends: [127.0.0.1:${backend.port}]\n  stalled_client_timeout: ${timeout}\n  client_queue: ${queue}\n`,
			);
		write("10s", 64);
		const program = await run("--config", file, "--log-format", "json");
		const [, port] = await program.waitForOutput(/ws:\/\/127\.0\.0\.1:(\d+)/, 20_000);
		const client = await new RigClient(`ws://127.0.0.1:${port}`).welcome();
		write("5s", 128);
		process.kill(program.pid, "SIGHUP");
		await program.waitForOutput(
			/configuration reloaded from \S+: gateway\.stalled_client_timeout 10s → 5s; only a restart brings gateway\.client_queue 64 → 128/,
			10_000,
		);
		// It was so before.
		expect(program.log().split("open mode: every client").length - 1).toBe(1);
		write("soon", 128);
		process.kill(program.pid, "SIGHUP");
		await program.waitForOutput(/configuration not reloaded, all options keep their values: [^"]*stalled_client_timeout/, 10_000);
		expect(client.closed).toBe(null);
		client.socket.terminate();
	});

	it("on SIGTERM waits for a client that is behind until --shutdown-timeout allows no more, then cuts it off, with status 1", async () => {
		const backend = await FakeBackend.open();
		opened.push(backend);
		const program = await run("127.0.0.1:0", `127.0.0.1:${backend.port}`, "--shutdown-timeout", "2s", "--log-format", "json");
		const [, port] = await program.waitForOutput(/ws:\/\/127\.0\.0\.1:(\d+)/, 20_000);
		const [slow, quick] = [
			await new RigClient(`ws://127.0.0.1:${port}`).welcome(),
			await new RigClient(`ws://127.0.0.1:${port}`).welcome(),
		];
		const data = await backend.connection("data");
		slow.pause();
		// More than sockets take.
		for (let sent = 0; sent < 256; sent++) data.socket.write(frameBytes(4, slow.id, Buffer.alloc(256 * 1024)));
		const waiting = async (): Promise<number> => {
			const { queues } = (await (await fetch(`http://127.0.0.1:${port}/health`)).json()) as GatewayReport;
			return queues.to_clients_low!.waiting;
		};
		await waitFor(async () => (await waiting()) > 0, { deadlineMs: 10_000, what: "frames wait" });
		process.kill(program.pid, "SIGTERM");
		expect(await quick.closing()).toEqual({ code: 1001, reason: "shutdown" });
		expect((await program.exited).code).toBe(1);
		expect(program.log()).toContain("shutdown complete: 1 cut off");
		slow.socket.terminate();
	});

	it.each([
		[
			["3020"],
			'shardcast: --backends: there are no backends; name them, as in "shardcast gateway 3020 127.0.0.1:9001", or let them announce themselves with --discover',
		],
		[
			["127.0.0.1:9001"],
			'shardcast: --backends: there are no backends (127.0.0.1:9001 is the address for clients); name them, as in "shardcast gateway 3020 127.0.0.1:9001", or let them announce themselves with --discover',
		],
		[["port", "127.0.0.1:9001"], 'shardcast: <ws_port>: "port" is not an address; write :3020, 127.0.0.1:3020 or [::1]:3020'],
		[["70000", "a:1"], 'shardcast: <ws_port>: ":70000" has the port 70000; ports end at 65535'],
		[["3020", "localhost"], 'shardcast: <host:port>: "localhost" has no port of a backend; write localhost:9001'],
		[["3020", "9001"], 'shardcast: <host:port>: "9001" has no host of a backend; write 127.0.0.1:9001'],
		[["3020", "a:0"], 'shardcast: <host:port>: "a:0" has the port 0, where no backend can listen; write 127.0.0.1:9001'],
		[["3020", "a:65536"], 'shardcast: <host:port>: "a:65536" has the port 65536; ports end at 65535'],
		[
			["3020", "http://a:1"],
			'shardcast: <host:port>: "http://a:1" is a URL or a path; backends speak TCP: write only host and port, such as 127.0.0.1:9001',
		],
		[["3020", "a:1", "A:01"], "shardcast: <host:port>: a:1 is there twice"],
		[["3020", "[::1]:1", "[0:0::1]:1"], "shardcast: <host:port>: [::1]:1 is there twice"],
		[["3020", "a:1", "--discovery-networks", "10.0.0.0/8"], "shardcast: --discovery-networks: has no effect without --discover; add that"],
		[
			["3020", "a:1", "--discovery-secret", "a-secret-of-16-ch"],
			"shardcast: --discovery-secret: has no effect without --discover; add that",
		],
		[
			["3020", "a:1", "--cpus", "0"],
			"shardcast: --cpus: has no effect on a gateway of one process; leave it out, or give --shards 2 or more",
		],
		[
			["3020", "--shards", "2"],
			'shardcast: --backends: there are no backends; name them, as in "shardcast gateway 3020 127.0.0.1:9001", or let them announce themselves with --discover',
		],
		[["3020", "a:1", "--gateway-addr", ":1"], "shardcast: <ws_port>: means the same as --gateway-addr; give one of the two"],
	] as const)("%j: status 2 and one line", async (args, line) => {
		await refuses(args, line);
	});

	it("a port that is taken is named by where it was given, with one process and with several", async () => {
		const backend = await FakeBackend.open();
		opened.push(backend);
		const args = [`127.0.0.1:${backend.port}`, "127.0.0.1:1"];
		const line = `shardcast: <ws_port>: port ${backend.port} is taken; choose another or stop the program that has it`;
		await refuses(args, line);
		await refuses([...args, "--shards", "2"], line);
	});

	async function refuses(args: readonly string[], line: string): Promise<void> {
		const program = await run(...args);
		expect((await program.exited).code).toBe(2);
		await waitFor(() => program.log().includes(line), { deadlineMs: 1000, what: line });
		expect(program.log().trim().split("\n")).toEqual([line]);
	}
});

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
		await program.waitForOutput(new RegExp(`\\[1\\] 127\\.0\\.0\\.1:${backend.port} \\[CLOSED\\] fails=0 sent=\\d+\\n`), 20_000);
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
		const timeouts = ["--shutdown-timeout", "5s", "--stalled-client-timeout", "60s"];
		const program = await run("127.0.0.1:0", `127.0.0.1:${backend.port}`, ...timeouts, "--log-format", "json");
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

	// What else is refused, and how, is told by gateway-refusals.test.ts of the supervisor, without a process for each.
	it("options that it refuses are one line, and status 2", async () => {
		await refuses(
			["3020"],
			'shardcast: --backends: there are no backends; name them, as in "shardcast gateway 3020 127.0.0.1:9001", or let them announce themselves with --discover',
		);
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
		// Several processes clear what clusters have left that other tests have killed meanwhile.
		const ofOthers = (text: string) => text.includes("left behind by a killed cluster");
		expect(
			program
				.log()
				.trim()
				.split("\n")
				.filter((text) => !ofOthers(text)),
		).toEqual([line]);
	}
});

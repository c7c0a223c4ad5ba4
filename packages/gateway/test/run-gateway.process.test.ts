import { join } from "node:path";
import { ManagedProcess, waitFor } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { FakeBackend } from "./support/fake-backend.ts";
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
		const [, port] = await program.waitForOutput(/shardcast gateway, pid \d+: ws:\/\/127\.0\.0\.1:(\d+), .*; open mode/, 20_000);
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

	it.each([
		[
			["3020"],
			'shardcast: --backends: there are no backends; name them, as in "shardcast gateway 3020 127.0.0.1:9001", or let them announce themselves with --discover',
		],
		[["port", "127.0.0.1:9001"], 'shardcast: <ws_port>: "port" is not an address; write :3020, 127.0.0.1:3020 or [::1]:3020'],
		[["3020", "localhost"], 'shardcast: <host:port>: "localhost" is not an address; write :9001, 127.0.0.1:9001 or [::1]:9001'],
		[["3020", "a:1", "a:1"], "shardcast: <host:port>: a:1 is there twice"],
		[
			["3020", "a:1", "--shards", "2"],
			"shardcast: --shards: a gateway is one process, and cannot have 2 of them; start several gateways, each with its own port and the same backends, behind a load balancer",
		],
		[["3020", "a:1", "--gateway-addr", ":1"], "shardcast: <ws_port>: means the same as --gateway-addr; give one of the two"],
	] as const)("%j: status 2 and one line", async (args, line) => {
		const program = await run(...args);
		expect((await program.exited).code).toBe(2);
		await waitFor(() => program.log().includes(line), { deadlineMs: 1000, what: line });
		expect(program.log().trim().split("\n")).toEqual([line]);
	});
});

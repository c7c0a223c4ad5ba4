import { once } from "node:events";
import { join } from "node:path";
import { ManagedProcess, waitFor } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { FakeNode } from "./support/fake-node.ts";

const main = join(import.meta.dirname, "../../../apps/supervisor/dist/main.js");
const opened: { stop(): unknown }[] = [];
afterEach(async () => {
	for (const each of opened.splice(0).reverse()) await each.stop();
});

async function run(...flags: readonly string[]): Promise<ManagedProcess> {
	const program = await ManagedProcess.start(main, ["edge", "--edge-addr", "127.0.0.1:0", ...flags], { env: { REDIS_URL: undefined } });
	opened.push(program);
	return program;
}

describe("shardcast edge", () => {
	it("says where it listens, passes clients on, and on SIGTERM lets them go on until --drain-timeout", async () => {
		const node = await FakeNode.start("a");
		opened.push(node);
		const program = await run("--nodes", node.address, "--drain-timeout", "3s", "--log-format", "json");
		const [, port] = await program.waitForOutput(
			/shardcast edge, pid \d+: ws:\/\/127\.0\.0\.1:(\d+), .*; to the node \S+, least_connections/,
			10_000,
		);
		await program.waitForOutput(/gets clients/, 10_000);
		const socket = new WebSocket(`ws://127.0.0.1:${port}`);
		await once(socket, "open");
		let isClosed = false;
		const closed = once(socket, "close").then(() => {
			isClosed = true;
		});
		process.kill(program.pid, "SIGTERM");
		await program.waitForOutput(/shutting down: SIGTERM; 1 connections may go on for 3s/, 10_000);
		socket.send("still here");
		await once(socket, "message");
		expect(isClosed).toBe(false);
		await closed;
		expect((await program.exited).code).toBe(1);
	});

	it.each([
		[[], "shardcast: --nodes: there are no nodes; name them, or the Redis in which they join with --redis-url"],
		[["--nodes", "n1"], 'shardcast: --nodes: "n1" is not an address; write :3005, 127.0.0.1:3005 or [::1]:3005'],
		[["--nodes", ":3005"], 'shardcast: --nodes: ":3005" has no host and port of a node; write 10.0.0.7:3005'],
		[["--nodes", "a:1=0"], 'shardcast: --nodes: "a:1=0" has no weight from 1 to 1000 after "="'],
		[["--nodes", "a:1,a:1=2"], "shardcast: --nodes: a:1 is listed twice"],
		[
			["--nodes", "a:1", "--redis-url", "redis://127.0.0.1:1"],
			"shardcast: --nodes: the nodes are those in Redis (--redis-url); remove one of the two",
		],
		[["--nodes", "a:1", "--shards", "2"], "shardcast: unknown option '--shards'; see shardcast edge --help"],
	] as const)("%j: status 2 and one line", async (flags, line) => {
		const program = await run(...flags);
		expect((await program.exited).code).toBe(2);
		await waitFor(() => program.log().includes(line), { deadlineMs: 10_000, what: line });
		expect(program.log().trim().split("\n")).toEqual([line]);
	});
});

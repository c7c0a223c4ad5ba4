import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ClusterHealth, descendantsOf, freePorts, getJson, httpRequest, isAlive, ManagedProcess, waitFor } from "@shardcast/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { main, startUnread } from "../support/unread.ts";

let folder: string;
beforeEach(() => {
	folder = mkdtempSync("/dev/shm/shardcast-test-");
});
afterEach(() => rmSync(folder, { recursive: true }));

const statusOf = (url: string): Promise<number> => httpRequest(url).then(({ status }) => status);

describe("output that nobody reads", () => {
	it("a command ends quietly, with the status of a closed pipe", async () => {
		const commands = [["config", "print"], ["config", "check"], ["multi", "--help"], ["--version"]];
		const ends = await Promise.all(commands.map((args) => startUnread(args).ended));
		expect(ends).toEqual(commands.map(() => ({ status: 141, errors: "" })));
	});

	it("wrong options still give status 2, and a full disk is told", async () => {
		const [wrong, full] = await Promise.all([
			startUnread(["config", "check", "--batch", "0"], "both").ended,
			startUnread(["config", "print"], "full").ended,
		]);
		expect(wrong).toEqual({ status: 2, errors: "" });
		expect(full).toEqual({ status: 1, errors: "shardcast: stdout can't be written to (ENOSPC); the output is incomplete\n" });
	});

	it("a cluster serves, logs, reloads, restarts a shard and stops in order", { tags: ["long"] }, async () => {
		const file = join(folder, "shardcast.yaml");
		writeFileSync(file, "limits: {max_connections: 10}\n");
		const port = await freePorts(2);
		const url = `http://127.0.0.1:${port + 1}`;
		const flags = ["--shards", "1", "--base-port", String(port), "--lb-addr", `127.0.0.1:${port + 1}`, "--cluster-directory", folder];
		const { child, ended } = startUnread(["multi", ...flags, "--config", file, "--restart-backoff-min", "1ms"], "both");
		try {
			await waitFor(async () => (await statusOf(`${url}/ready`)) === 200, { deadlineMs: 20_000, what: "the cluster" });
			const health = (): Promise<ClusterHealth> => getJson<ClusterHealth>(`${url}/health`);

			expect(await startUnread(["top", "--once", "--cluster-directory", folder]).ended).toEqual({ status: 141, errors: "" });

			writeFileSync(file, "limits: {max_connections: 20}\n");
			child.kill("SIGHUP");
			await waitFor(async () => (await health()).maxConnections === 20, { deadlineMs: 5_000, what: "the new limit" });

			process.kill((await health()).shards[0]!.pid, "SIGKILL");
			await waitFor(async () => (await health()).shards[0]!.restarts === 1 && (await statusOf(`${url}/ready`)) === 200, {
				deadlineMs: 10_000,
				what: "the shard to serve again",
			});
			child.kill("SIGTERM");
			expect((await ended).status).toBe(0);
			expect(readdirSync(folder).filter((name) => name.startsWith("shardcast-"))).toEqual([]);
		} finally {
			child.kill("SIGKILL");
		}
	});

	it("so does a single shard", async () => {
		const port = await freePorts();
		const { child, ended } = startUnread(["single", "--addr", `127.0.0.1:${port}`], "both");
		try {
			await waitFor(async () => (await statusOf(`http://127.0.0.1:${port}/ready`)) === 200, { deadlineMs: 10_000, what: "the shard" });
			child.kill("SIGTERM");
			expect((await ended).status).toBe(0);
		} finally {
			child.kill("SIGKILL");
		}
	});
});

it("an error in the supervisor that nobody foresaw leaves no process and no file", async () => {
	const bomb = join(folder, "bomb.cjs");
	writeFileSync(bomb, 'process.on("SIGUSR2", () => { throw new Error("nobody foresaw this"); });');
	const port = await freePorts(2);
	const flags = ["--shards", "1", "--base-port", String(port), "--lb-addr", `127.0.0.1:${port + 1}`, "--cluster-directory", folder];
	const program = await ManagedProcess.start(main, ["multi", ...flags], { nodeArguments: ["--require", bomb] });
	try {
		await program.waitForOutput(/open mode/, 20_000);
		const children = descendantsOf(program.pid);
		expect(children.length).toBeGreaterThanOrEqual(2);
		program.signal("SIGUSR2");
		expect((await program.exited).code).toBe(1);
		expect(program.log()).toContain("nobody foresaw this");
		await waitFor(() => !children.some(isAlive), { deadlineMs: 5_000, what: "the end of its children" });
		expect(readdirSync(folder)).toEqual(["bomb.cjs"]);
	} finally {
		program.signal("SIGKILL");
	}
});

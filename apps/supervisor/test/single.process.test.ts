import { spawn } from "node:child_process";
import { join } from "node:path";
import { type Config, type ConfigKey, environmentName, optionOf } from "@shardcast/config";
import { freePorts, httpRequest, LibraryClient, ManagedProcess, RawClient, scaledDeadline, waitFor } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";

const main = join(import.meta.dirname, "../dist/main.js");
const shardMain = join(import.meta.dirname, "../../shard/dist/main.js");
const wscat = join(import.meta.dirname, "../../../node_modules/wscat/bin/wscat");

const running: ManagedProcess[] = [];
afterEach(async () => {
	for (const program of running.splice(0)) if (program.status() === null) await program.stop("SIGKILL");
});

async function startSingle(changes: Partial<Config> = {}): Promise<{ program: ManagedProcess; port: number }> {
	const port = await freePorts();
	const options = { addr: `127.0.0.1:${port}`, logFormat: "json", ...changes } as const;
	const env = Object.fromEntries(
		Object.entries(options).map(([key, value]) => [environmentName(key as ConfigKey), optionOf(key as ConfigKey).show(value)]),
	);
	const program = await ManagedProcess.start(main, ["single"], { env });
	running.push(program);
	await program.waitForOutput(/shardcast single/, 10_000);
	return { program, port };
}

describe("shardcast single", () => {
	it("wscat -c works as it is", async () => {
		const { port } = await startSingle();
		const listener = await LibraryClient.open(`ws://127.0.0.1:${port}`);
		const child = spawn(process.execPath, [wscat, "-c", `ws://127.0.0.1:${port}`, "-x", "from wscat", "-w", "-1"], {
			stdio: ["pipe", "pipe", "pipe"],
		});
		let output = "";
		child.stdout.on("data", (data: Buffer) => {
			output += data.toString();
		});
		const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
		await listener.waitForMessages(1);
		expect(listener.texts()).toEqual(["from wscat"]);
		expect(listener.messages[0].binary).toBe(false);
		listener.send("to wscat");
		await waitFor(() => output.includes("to wscat"), { deadlineMs: 5000, what: "wscat to print what it got" });
		child.stdin.end();
		expect(await ended).toBe(0);
		await listener.close();
	});

	it("prints a status line every two seconds where people read it, and not among JSON lines; its numbers are true", {
		tags: ["long"],
	}, async () => {
		const { program: json } = await startSingle({ logFormat: "json" });
		const { program: debug } = await startSingle({ logFormat: "json", logLevel: "debug" });
		const { program: quiet } = await startSingle({ logFormat: "pretty", logLevel: "warn" });
		const { program, port } = await startSingle({ logFormat: "pretty" });
		const clients = [await LibraryClient.open(`ws://127.0.0.1:${port}`), await LibraryClient.open(`ws://127.0.0.1:${port}`)];
		for (let count = 0; count < 7; count++) clients[0].send("x");
		await clients[1].waitForMessages(7);
		await program.waitForOutput(/^\[\d{4}-\d\d-\d\dT[\d:.]+Z\] Conns: 2, Msgs: 7$/m, 5000);
		await debug.waitForOutput(/^\{"level":"debug".*\] Conns: 0, Msgs: 0"/m, 5000);
		// These two were started before those that have said it.
		for (const silent of [json, quiet]) expect(silent.log()).not.toContain("Conns:");
		for (const client of clients) await client.close();
	});

	const stops = async (signal: "SIGTERM" | "SIGINT") => {
		const { program, port } = await startSingle();
		const client = await LibraryClient.open(`ws://127.0.0.1:${port}`);
		const beganMs = performance.now();
		program.signal(signal);
		expect(await client.closed).toEqual({ code: 1001, reason: "shutdown" });
		expect(await program.exited).toEqual({ code: 0, signal: null });
		expect(performance.now() - beganMs, "ms of a stop with nothing to wait for").toBeLessThan(scaledDeadline(3000));
		expect(program.log()).toMatch(new RegExp(`shutting down: ${signal}; 1 connections`));
		expect(program.log()).toMatch(/shutdown complete: nothing was cut off/);
	};
	it("SIGTERM stops in order, tells the clients, and ends with 0 and two log lines", () => stops("SIGTERM"));
	it("SIGINT does the same", { tags: ["long"] }, () => stops("SIGINT"));

	it("--drain-delay holds for it, and a second signal does not wait for its end", async () => {
		const { program, port } = await startSingle({ drainDelayMs: 60_000 });
		program.signal("SIGTERM");
		const ready = () => httpRequest(`http://127.0.0.1:${port}/ready`);
		await waitFor(async () => (await ready()).status === 503, { deadlineMs: 2000, what: "503" });
		const late = await RawClient.open(`ws://127.0.0.1:${port}`);
		program.signal("SIGTERM");
		expect(await program.exited).toMatchObject({ code: 1 });
		expect((await late.closed).code).toBe(1006);
	});

	it("a second signal forces", async () => {
		const { program, port } = await startSingle({ maxBufferedBytes: 1 << 28 });
		const dead = await RawClient.open(`ws://127.0.0.1:${port}`);
		dead.socket.tcp.pause();
		const sender = await LibraryClient.open(`ws://127.0.0.1:${port}`);
		for (let round = 0; round < 300; round++) sender.send(Buffer.alloc(60_000));
		const deliveries = async () =>
			Number(/shardcast_deliveries_total\{[^}]*\} (\d+)/.exec((await httpRequest(`http://127.0.0.1:${port}/metrics`)).body)?.[1]);
		await waitFor(async () => (await deliveries()) === 300, { deadlineMs: 10_000, what: "300 deliveries" });
		program.signal("SIGTERM");
		await program.waitForOutput(/shutting down/, 5000);
		expect((await sender.closed).code).toBe(1001);
		expect(program.status(), "it waits for the client that does not read").toBeNull();
		program.signal("SIGTERM");
		expect((await program.exited).code).toBe(1);
		expect(program.log()).toMatch(/forced to stop/);
		dead.socket.tcp.destroy();
	});

	it("started by hand it says who starts it", { tags: ["long"] }, async () => {
		const program = await ManagedProcess.start(shardMain);
		expect((await program.exited).code).toBe(2);
		expect(program.log()).toMatch(/started by the supervisor/);
	});
});

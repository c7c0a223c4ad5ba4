import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { DescriptorChannel } from "../src/descriptor-channel.ts";
import { pidNamespace, processStartTicks } from "../src/processes.ts";
import { closeDescriptor, duplicate } from "../src/sockets.ts";
import { useTemporaryDirectory } from "./temporary.ts";

const program = (name: string) => fileURLToPath(new URL(`./programs/${name}`, import.meta.url));
const started: ChildProcess[] = [];

function start(name: string, args: string[], limit?: number): ChildProcess {
	// Without our execArgv: under Vitest they would make the child look for TypeScript sources.
	const options =
		limit === undefined
			? { execArgv: [] }
			: { execPath: "/bin/sh", execArgv: ["-c", `ulimit -n ${limit}; exec "$0" "$@"`, process.execPath] };
	const child = fork(program(name), args, options);
	started.push(child);
	return child;
}

async function message<T>(child: ChildProcess): Promise<T> {
	const exit = once(child, "exit").then(([status, signal]) => Promise.reject(new Error(`the child has left: ${status ?? signal}`)));
	return (await Promise.race([once(child, "message"), exit]))[0] as T;
}

afterEach(() => {
	for (const child of started.splice(0)) child.kill("SIGKILL");
});

describe("dieWithParent", () => {
	it("a child is gone as soon as its parent is killed with -9", async () => {
		const parent = start("parent.mjs", []);
		const { child } = await message<{ child: number }>(parent);
		expect(processStartTicks(child)).not.toBeNull();
		parent.kill("SIGKILL");
		await expect.poll(() => isRunning(child), { timeout: 5000 }).toBe(false);
	});

	it("a child whose parent had died before it could ask leaves at once", async () => {
		const child = start("child.mjs", ["1"]);
		const [, signal] = await once(child, "exit");
		expect(signal).toBe("SIGKILL");
	});
});

describe("processStartTicks", () => {
	it("tells processes apart, whatever they are called", async () => {
		const own = processStartTicks(process.pid);
		expect(own).toBeGreaterThan(0);
		expect(processStartTicks(process.pid)).toBe(own);
		const child = start("child.mjs", []);
		await message(child);
		const ticks = processStartTicks(child.pid!)!;
		expect(ticks).toBeGreaterThan(own!);
		expect(ticks).toBeLessThan(own! + 100 * 3600);
	});

	it("is null when there is no such process", () => {
		expect(processStartTicks(2 ** 22 + 1)).toBeNull();
	});

	it("pid namespace has a name", () => {
		expect(pidNamespace()).toMatch(/^pid:\[\d+\]$/);
	});
});

describe("DescriptorChannel between processes", () => {
	const directory = useTemporaryDirectory();

	it("another process answers on the connections that this one has accepted", async () => {
		const receiver = start("receiver.mjs", [directory.file("handoff.sock"), "answer"]);
		await message(receiver);
		const sender = DescriptorChannel.connect(directory.file("handoff.sock"));
		const server = createServer({ pauseOnConnect: true }).listen(0, "127.0.0.1");
		await once(server, "listening");
		for (let round = 0; round < 20; round++) {
			const client = connect((server.address() as { port: number }).port, "127.0.0.1");
			const [accepted] = (await once(server, "connection")) as [Socket & { _handle: { fd: number } }];
			expect(sender.send([accepted._handle.fd])).toBe(true);
			accepted.destroy();
			receiver.send("ring");
			expect(String((await once(client, "data"))[0])).toBe(String(receiver.pid));
			await once(client, "close");
		}
		sender.close();
		server.close();
	});

	it("a receiver without free descriptors says EMFILE and the fix, and leaks none", async () => {
		const receiver = start("receiver.mjs", [directory.file("handoff.sock"), "starve"], 100);
		const { open } = await message<{ open: number }>(receiver);
		const sender = DescriptorChannel.connect(directory.file("handoff.sock"));
		expect(sender.send(new Array(64).fill(0))).toBe(true);
		receiver.send("ring");
		const report = await message<{ outcomes: unknown[]; open: number }>(receiver);
		expect(report.outcomes[0]).toMatch(/^EMFILE: .*64 descriptors were sent, \d+ arrived.*ulimit -n/);
		expect(report.outcomes[1]).toBe(0);
		expect(report.open).toBe(open);
		sender.close();
	});

	it("descriptors are the same file in both processes: the sender's copy may be closed first", async () => {
		const receiver = start("receiver.mjs", [directory.file("handoff.sock"), "answer"]);
		await message(receiver);
		const server = createServer({ pauseOnConnect: true }).listen(0, "127.0.0.1");
		await once(server, "listening");
		const client = connect((server.address() as { port: number }).port, "127.0.0.1");
		const [accepted] = (await once(server, "connection")) as [Socket & { _handle: { fd: number } }];
		const copy = duplicate(accepted._handle.fd);
		accepted.destroy();
		const sender = DescriptorChannel.connect(directory.file("handoff.sock"));
		sender.send([copy]);
		closeDescriptor(copy);
		sender.close();
		receiver.send("ring");
		expect(String((await once(client, "data"))[0])).toBe(String(receiver.pid));
		client.destroy();
		server.close();
	});
});

function isRunning(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch {
		return false;
	}
}

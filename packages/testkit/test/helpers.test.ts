import { closeSync, openSync } from "node:fs";
import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { httpRequest } from "../src/clients/http.ts";
import { freePorts } from "../src/network/ports.ts";
import {
	cpuMs,
	cpuTicksMs,
	descendantsOf,
	descriptorsOf,
	descriptorsOpenedSince,
	identify,
	isAlive,
	machineBusyMs,
	openDescriptors,
	parentOf,
	pssBytes,
} from "../src/processes/proc.ts";
import { waitFor } from "../src/wait.ts";

describe("waitFor", () => {
	it("returns the first truthy value, polling on", async () => {
		let asked = 0;
		expect(await waitFor(() => ++asked >= 3 && "there", { deadlineMs: 1_000, what: "the third", everyMs: 1 })).toBe("there");
	});

	it("takes a throw for not yet, and shows the last one at the deadline", async () => {
		const never = waitFor(
			() => {
				throw new Error("connection refused");
			},
			{ deadlineMs: 30, what: "the server", everyMs: 1 },
		);
		await expect(never).rejects.toThrow("the server: not within 30 ms: connection refused");
	});
});

describe("freePorts", () => {
	it("finds a consecutive run in which every port can be bound", async () => {
		const first = await freePorts(5);
		const servers = await Promise.all(
			[0, 1, 2, 3, 4].map(
				(offset) =>
					new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
						const server = createServer();
						server.once("error", reject);
						server.listen(first + offset, () => resolve(server));
					}),
			),
		);
		await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
	});

	it("gives no port a second time, though nobody has bound it yet", async () => {
		const ports: number[] = [];
		for (let call = 0; call < 60; call++) {
			const port = await freePorts(3);
			ports.push(port, port + 1, port + 2);
		}
		expect(new Set(ports).size).toBe(ports.length);
	});

	it("gives no port a second time to those that ask at the same moment", async () => {
		const firsts = await Promise.all(Array.from({ length: 20 }, () => freePorts(3)));
		expect(new Set(firsts.flatMap((port) => [port, port + 1, port + 2])).size).toBe(60);
	});

	it("gives no other process, such as one of a second test run, a port from the same block", async () => {
		const port = await freePorts();
		// Loaded again, it is as if in another process. See vitest.config.ts.
		const path: string = "../src/network/ports.ts?again=1";
		const other = (await import(path)) as typeof import("../src/network/ports.ts");
		const others = await Promise.all(Array.from({ length: 20 }, () => other.freePorts()));
		const block = (each: number): number => Math.floor((each - 10_240) / 352);
		expect(new Set(others.map(block)).size).toBe(1);
		expect(others.map(block)).not.toContain(block(port));
	});
});

describe("httpRequest", () => {
	it("takes an upgrade for an answer", async () => {
		const server = createServer((socket) => {
			socket.once("data", () => socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"));
			socket.on("error", () => {});
		});
		await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
		const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
		expect((await httpRequest(url, { headers: { connection: "Upgrade", upgrade: "websocket" }, deadlineMs: 1_000 })).status).toBe(101);
		server.close();
	});
});

describe("/proc", () => {
	it("tells CPU time that agrees with the process's own account", { tags: ["long"] }, () => {
		const measure = () => {
			const before = { own: process.cpuUsage(), schedule: cpuMs(process.pid), ticks: cpuTicksMs(process.pid), machine: machineBusyMs() };
			const endsMs = performance.now() + 300;
			while (performance.now() < endsMs);
			const own = process.cpuUsage(before.own);
			const ownMs = (own.user + own.system) / 1000;
			return {
				schedule: Math.abs(cpuMs(process.pid) - before.schedule - ownMs),
				ticks: Math.abs(cpuTicksMs(process.pid) - before.ticks - ownMs),
				machine: machineBusyMs() - before.machine - ownMs,
			};
		};
		// A thread of this process that ends meanwhile takes its time with it: once more, then.
		let differences = measure();
		for (let again = 0; again < 4 && differences.schedule >= 30; again++) differences = measure();
		expect(differences.schedule).toBeLessThan(30);
		expect(differences.ticks).toBeLessThan(40);
		expect(differences.machine).toBeGreaterThan(-40);
	});

	it("tells memory, descriptors, parent and identity of this process", () => {
		const resident = process.memoryUsage.rss();
		expect(pssBytes(process.pid)).toBeGreaterThan(resident / 20);
		expect(pssBytes(process.pid)).toBeLessThan(resident * 1.5);
		expect(openDescriptors(process.pid)).toBeGreaterThan(3);
		expect(parentOf(process.pid)).toBe(process.ppid);
		expect(isAlive(identify(process.pid))).toBe(true);
		expect(descendantsOf(process.ppid).map(({ pid }) => pid)).toContain(process.pid);
	});

	it("names the descriptors that this process has opened since, and no others", () => {
		const early = openSync("/dev/null", "r");
		const before = descriptorsOf(process.pid);
		const late = openSync("/dev/zero", "r");
		expect(descriptorsOpenedSince(before)).toEqual([`${late} /dev/zero`]);
		closeSync(early);
		closeSync(late);
		expect(descriptorsOpenedSince(before)).toEqual([]);
	});

	it("does not take a later process with the same number for an earlier one", () => {
		expect(isAlive({ pid: process.pid, startTicks: identify(process.pid).startTicks - 1 })).toBe(false);
		expect(() => cpuMs(2 ** 22 + 1)).toThrow();
	});
});

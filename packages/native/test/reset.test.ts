import { once } from "node:events";
import { closeSync, openSync, readdirSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { descriptorsOf, descriptorsOpenedSince, socketQueues, waitFor } from "@shardcast/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { closeWithReset } from "../src/reset.ts";

interface Connection {
	readonly client: Socket;
	readonly accepted: Socket;
}

/** More than the kernel's buffers at both ends hold. */
const tooMuch = Buffer.alloc(48 * 1024 * 1024);

describe("closeWithReset", () => {
	let server: Server;
	const sockets: Socket[] = [];
	beforeEach(async () => {
		server = createServer().listen(0, "127.0.0.1");
		await once(server, "listening");
	});
	afterEach(() => {
		for (const socket of sockets.splice(0)) socket.destroy();
		server.close();
	});

	/** A client that reads nothing until it is told to. */
	async function connection(): Promise<Connection> {
		const taken = once(server, "connection");
		const client = connect((server.address() as { port: number }).port, "127.0.0.1");
		client.pause();
		const [accepted] = (await taken) as [Socket];
		for (const socket of [client, accepted]) {
			socket.on("error", () => {});
			sockets.push(socket);
		}
		return { client, accepted };
	}
	/** Other connections of this machine may have the same port at one end, those that have just ended too. */
	const unsent = ({ client }: Connection) =>
		socketQueues().find(({ localPort, remotePort }) => localPort === client.remotePort && remotePort === client.localPort)?.unsentBytes ??
		0;
	async function stuckConnection(): Promise<Connection> {
		const made = await connection();
		made.accepted.write(tooMuch);
		let before = 0;
		// No more of it is taken on.
		const isFull = (): boolean => {
			const now = unsent(made);
			const wasFull = now > 0 && now === before;
			before = now;
			return wasFull;
		};
		await waitFor(isFull, { deadlineMs: 20_000, everyMs: 50, what: "a full send buffer" });
		return made;
	}
	/** All that comes. Node does not tell a reset from an end when there was something left to read. */
	async function bytesRead({ client }: Connection): Promise<number> {
		let bytes = 0;
		client.on("data", (data) => {
			bytes += data.length;
		});
		client.resume();
		await once(client, "close");
		return bytes;
	}

	it("frees what could not be sent; other connections and other kinds of descriptors are left alone", {
		tags: ["long"],
		timeout: 60_000,
	}, async () => {
		const [cut, stays] = [await stuckConnection(), await stuckConnection()];
		const idle = await connection();
		const before = descriptorsOf(process.pid);
		expect(
			closeWithReset(() => {
				cut.accepted.destroy();
				idle.accepted.destroy();
				// A descriptor that is given out again at once is not taken for the one that was closed.
				closeSync(openSync("/dev/null", "r"));
			}),
		).toBe(1);
		expect(descriptorsOpenedSince(before)).toEqual([]);
		expect(unsent(cut)).toBe(0);
		expect(await bytesRead(cut)).toBeLessThan(tooMuch.length / 2);
		expect(await bytesRead(idle)).toBe(0);
		stays.accepted.end();
		expect(await bytesRead(stays)).toBe(tooMuch.length);
	});

	it("a socket whose descriptor is another file's afterwards counts as closed", { timeout: 60_000 }, async () => {
		const cut = await stuckConnection();
		let opened = -1;
		const reset = closeWithReset(() => {
			cut.accepted.destroy();
			opened = openSync("/dev/null", "r");
		});
		closeSync(opened);
		expect([reset, unsent(cut)]).toEqual([1, 0]);
	});

	it("closes those that it has reset one after the other, in later turns of the loop", { timeout: 60_000 }, async () => {
		const cut = [await stuckConnection(), await stuckConnection()];
		const before = descriptorsOf(process.pid);
		const reset = closeWithReset(() => {
			for (const { accepted } of cut) accepted.destroy();
		}, 0);
		expect([reset, descriptorsOpenedSince(before).length, cut.filter((each) => unsent(each) > 0).length]).toEqual([2, 1, 1]);
		await waitFor(() => descriptorsOpenedSince(before).length === 0, { deadlineMs: 5000, what: "the second one to be closed" });
		expect(cut.map(unsent)).toEqual([0, 0]);
	});

	it("a second call meanwhile takes no duplicates of those that are still to be closed, and closes its own after them", {
		timeout: 60_000,
	}, async () => {
		const [first, second, third] = [await stuckConnection(), await stuckConnection(), await stuckConnection()];
		const before = descriptorsOf(process.pid);
		closeWithReset(() => {
			for (const { accepted } of [first, second]) accepted.destroy();
		}, 0);
		const open = () => readdirSync("/proc/self/fd").length;
		const afterFirst = open();
		let duplicates = 0;
		const reset = closeWithReset(() => {
			duplicates = open() - afterFirst;
			third.accepted.destroy();
		}, 0);
		expect([reset, duplicates, descriptorsOpenedSince(before).length]).toEqual([1, 1, 2]);
		await new Promise(setImmediate);
		expect([unsent(second), unsent(third) > 0]).toEqual([0, true]);
		await waitFor(() => descriptorsOpenedSince(before).length === 0, { deadlineMs: 5000, what: "the third one to be closed" });
		expect(unsent(third)).toBe(0);
	});

	it("lets an error of the callback through and leaves no descriptor behind", { timeout: 60_000 }, async () => {
		const stays = await stuckConnection();
		const before = descriptorsOf(process.pid);
		expect(() =>
			closeWithReset(() => {
				throw new Error("no");
			}),
		).toThrow("no");
		expect(descriptorsOpenedSince(before)).toEqual([]);
		expect(unsent(stays)).toBeGreaterThan(0);
	});
});

import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { acceptDescriptor, hasHungUp } from "../src/accept.ts";
import { closeDescriptor, peek } from "../src/sockets.ts";

describe("accept", () => {
	let server: Server;
	let listenFd: number;
	const clients: Socket[] = [];
	const taken: number[] = [];

	beforeEach(async () => {
		server = createServer().listen(0, "127.0.0.1");
		await once(server, "listening");
		listenFd = (server as unknown as { _handle: { fd: number } })._handle.fd;
	});

	afterEach(() => {
		for (const client of clients.splice(0)) client.destroy();
		for (const fd of taken.splice(0)) closeDescriptor(fd);
		server.close();
	});

	/** The kernel has connected when this returns, and the event loop has not turned: the server has not seen it. */
	async function knock(): Promise<Socket> {
		const client = connect((server.address() as { port: number }).port, "127.0.0.1");
		clients.push(client);
		await new Promise<void>((resolve) => process.nextTick(resolve));
		return client;
	}

	function take(): number {
		const fd = acceptDescriptor(listenFd);
		if (fd !== -1) taken.push(fd);
		return fd;
	}

	it("takes one connection after the other, then says that none waits", async () => {
		await knock();
		await knock();
		const fds = [take(), take(), take()];
		expect(fds[0]).toBeGreaterThan(2);
		expect(fds[1]).toBeGreaterThan(2);
		expect(fds[1]).not.toBe(fds[0]);
		expect(fds[2]).toBe(-1);
	});

	it("hands out a connection that carries the client's bytes and does not block", async () => {
		const client = await knock();
		const fd = take();
		const into = Buffer.alloc(16);
		expect(peek(fd, into)).toBe(-1);
		client.write("hello");
		await expect.poll(() => peek(fd, into)).toBe(5);
		expect(into.toString("latin1", 0, 5)).toBe("hello");
	});

	it.each(["end", "resetAndDestroy"] as const)("sees that the peer is gone though its bytes are still there: %s", async (leave) => {
		const client = await knock();
		const fd = take();
		const into = Buffer.alloc(16);
		client.write("x");
		await expect.poll(() => peek(fd, into)).toBe(1);
		expect(hasHungUp(fd)).toBe(false);
		client[leave]();
		await expect.poll(() => hasHungUp(fd)).toBe(true);
		expect(peek(fd, into)).toBe(1);
	});
});

import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { descriptorsOf, descriptorsOpenedSince, hasIpv6 } from "@shardcast/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { NativeError } from "../src/native-error.ts";
import {
	closeDescriptor,
	discard,
	duplicate,
	peek,
	peerAddress,
	replaceDescriptor,
	sendAll,
	setDeferAccept,
	setTcpNoDelay,
	socketPair,
	unreadBytes,
} from "../src/sockets.ts";

type WithHandle = { _handle: { fd: number } };

describe("sockets", () => {
	let server: Server;
	const clients: Socket[] = [];
	const accepted: Socket[] = [];

	beforeEach(async () => {
		server = createServer({ pauseOnConnect: true }, (socket) => accepted.push(socket)).listen(0, "127.0.0.1");
		await once(server, "listening");
	});

	afterEach(() => {
		for (const socket of [...clients.splice(0), ...accepted.splice(0)]) socket.destroy();
		server.close();
	});

	function call(): Socket {
		const client = connect((server.address() as { port: number }).port, "127.0.0.1");
		client.on("error", () => {});
		clients.push(client);
		return client;
	}

	async function connection(): Promise<[Socket, number]> {
		const client = call();
		await expect.poll(() => accepted.length).toBe(1);
		return [client, (accepted[0] as unknown as WithHandle)._handle.fd];
	}

	it("peerAddress gives the address at the other end, IPv4 or IPv6, and none when it is gone", async () => {
		const [client, fd] = await connection();
		expect([...peerAddress(fd)]).toEqual([127, 0, 0, 1]);
		client.resetAndDestroy();
		await expect.poll(() => [...peerAddress(fd)]).toEqual([]);
		expect([...peerAddress(0x7fff_ffff)]).toEqual([]);

		if (!hasIpv6) return;
		const dual = createServer({ pauseOnConnect: true }).listen(0, "::");
		await once(dual, "listening");
		const { port } = dual.address() as { port: number };
		for (const [host, bytes] of [
			["::1", [...Array<number>(15).fill(0), 1]],
			["127.0.0.1", [...Array<number>(10).fill(0), 255, 255, 127, 0, 0, 1]],
		] as const) {
			const taken = once(dual, "connection");
			clients.push(connect(port, host));
			const [socket] = (await taken) as [Socket & WithHandle];
			accepted.push(socket);
			expect([...peerAddress(socket._handle.fd)]).toEqual(bytes);
		}
		dual.close();
	});

	it("peek leaves the bytes where they are, and sees more of them as they come", async () => {
		const [client, fd] = await connection();
		const into = Buffer.alloc(64);
		expect(peek(fd, into)).toBe(-1);
		client.write("GET / ");
		await expect.poll(() => peek(fd, into)).toBe(6);
		client.write("HTTP/1.1");
		await expect.poll(() => peek(fd, into)).toBe(14);
		expect(into.toString("latin1", 0, 14)).toBe("GET / HTTP/1.1");
		expect(peek(fd, into.subarray(0, 3))).toBe(3);
		accepted[0].resume();
		expect(String((await once(accepted[0], "data"))[0])).toBe("GET / HTTP/1.1");
	});

	it("peek says 0 for a peer that has closed", async () => {
		const [client, fd] = await connection();
		client.end();
		await expect.poll(() => peek(fd, Buffer.alloc(8))).toBe(0);
	});

	it("peek throws for a peer that broke the connection", async () => {
		const [client, fd] = await connection();
		client.resetAndDestroy();
		await expect.poll(() => codeOf(() => peek(fd, Buffer.alloc(8)))).toBe("ECONNRESET");
	});

	it("peek on a descriptor that is not open is EBADF", () => {
		const fd = duplicate(0);
		closeDescriptor(fd);
		expect(codeOf(() => peek(fd, Buffer.alloc(8)))).toBe("EBADF");
		expect(codeOf(() => closeDescriptor(fd))).toBe("EBADF");
	});

	it("deferred accept holds back a connection that has sent nothing, and lets those pass that have", async () => {
		setDeferAccept((server as unknown as WithHandle)._handle.fd, 5);
		const silent = call();
		await once(silent, "connect");
		const talking = call();
		talking.write("x");
		await expect.poll(() => accepted.length).toBe(1);
		expect(accepted[0].remotePort).toBe(talking.localPort);
		silent.write("y");
		await expect.poll(() => accepted.length).toBe(2);
	});

	it("sets TCP_NODELAY, and refuses on what is no TCP socket", async () => {
		const [, fd] = await connection();
		setTcpNoDelay(fd, true);
		setTcpNoDelay(fd, false);
		const file = openSync("/dev/null", "r");
		expect(codeOf(() => setTcpNoDelay(file, true))).toBe("ENOTSOCK");
		closeSync(file);
	});

	it("a duplicate outlives the original; closing both ends the connection", async () => {
		const before = descriptorsOf(process.pid);
		const [client, fd] = await connection();
		const copy = duplicate(fd);
		accepted[0].destroy();
		client.write("still there");
		await expect.poll(() => peek(copy, Buffer.alloc(64))).toBe(11);
		client.destroy();
		closeDescriptor(copy);
		await expect.poll(() => descriptorsOpenedSince(before)).toEqual([]);
	});
});

function codeOf(action: () => unknown): string {
	try {
		action();
	} catch (error) {
		expect(error).toBeInstanceOf(NativeError);
		return (error as NativeError).code;
	}
	return "nothing was thrown";
}

describe("pairs of sockets", () => {
	const into = new Uint8Array(10);

	it("carry bytes, of which a part can be thrown away and the rest be counted", () => {
		const [near, far] = socketPair();
		sendAll(far, Buffer.from("abcdef"));
		expect(unreadBytes(near)).toBe(6);
		discard(near, 4);
		expect(unreadBytes(near)).toBe(2);
		expect(Buffer.from(into.subarray(0, peek(near, into))).toString()).toBe("ef");
		expect(() => discard(near, 3)).toThrow("2 of 3 bytes had arrived");
		expect(() => discard(near, 1)).toThrow(NativeError);
		for (const fd of [near, far]) closeDescriptor(fd);
	});

	it("a full one takes no more, and a closed one says so", () => {
		const [near, far] = socketPair();
		expect(() => {
			for (;;) sendAll(near, Buffer.alloc(65_536));
		}).toThrow(NativeError);
		closeDescriptor(far);
		expect(() => sendAll(near, Buffer.from("x"))).toThrow(NativeError);
		closeDescriptor(near);
	});

	it("a descriptor can become another connection; what it was is closed", () => {
		const before = descriptorsOpenedSince(new Set());
		const [one, oneFar] = socketPair();
		const [other, otherFar] = socketPair();
		replaceDescriptor(one, other);
		expect(peek(oneFar, into)).toBe(0);
		sendAll(otherFar, Buffer.from("to the other"));
		expect(peek(one, into)).toBe(10);
		for (const fd of [one, other, oneFar, otherFar]) closeDescriptor(fd);
		expect(() => replaceDescriptor(one, other)).toThrow(/dup3/);
		expect(descriptorsOpenedSince(new Set()).length).toBe(before.length);
	});
});

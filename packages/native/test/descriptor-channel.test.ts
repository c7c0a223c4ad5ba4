import { once } from "node:events";
import { closeSync, fstatSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { descriptorsOf, descriptorsOpenedSince } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { DescriptorChannel } from "../src/descriptor-channel.ts";
import { NativeError } from "../src/native-error.ts";
import { closeDescriptor, duplicate } from "../src/sockets.ts";
import { useTemporaryDirectory } from "./temporary.ts";

describe("DescriptorChannel", () => {
	const directory = useTemporaryDirectory();
	const channels: DescriptorChannel[] = [];

	function bind(): DescriptorChannel {
		const channel = DescriptorChannel.bind(directory.file("handoff.sock"));
		channels.push(channel);
		return channel;
	}

	function connectTo(): DescriptorChannel {
		const channel = DescriptorChannel.connect(directory.file("handoff.sock"));
		channels.push(channel);
		return channel;
	}

	afterEach(() => {
		for (const channel of channels.splice(0)) channel.close();
	});

	it("passes a TCP connection on with the bytes that nobody has read yet", async () => {
		const [client, fd] = await acceptedConnection();
		const receiver = bind();
		const sender = connectTo();
		client.write("unread");
		expect(sender.send([fd])).toBe(true);
		const [received] = receiver.receive();
		expect(received).not.toBe(fd);
		// The sender's copy may go: the connection lives on in the receiver's.
		closeDescriptor(fd);
		const into = Buffer.alloc(16);
		await expect.poll(() => tryRead(received, into)).toBe(6);
		expect(into.toString("latin1", 0, 6)).toBe("unread");
		writeSync(received, "answer");
		expect(String((await once(client, "data"))[0])).toBe("answer");
		closeDescriptor(received);
		await once(client, "end");
		client.destroy();
	});

	it("keeps the order within a message and between messages", () => {
		const receiver = bind();
		const sender = connectTo();
		const files = Array.from({ length: 5 }, (_, i) => openSync(directory.file(`file-${i}`), "w+"));
		const inodes = files.map((fd) => fstatSync(fd).ino);
		sender.send(files.slice(0, 3));
		sender.send(files.slice(3));
		const received = [...receiver.receive(), ...receiver.receive()];
		expect(received.map((fd) => fstatSync(fd).ino)).toEqual(inodes);
		for (const fd of [...files, ...received]) closeSync(fd);
	});

	it("takes 64 in a message and refuses more, or none", () => {
		const receiver = bind();
		const sender = connectTo();
		const before = descriptorsOf(process.pid);
		expect(sender.send(new Array(64).fill(0))).toBe(true);
		const received = receiver.receive();
		expect(received).toHaveLength(64);
		expect(new Set(received).size).toBe(64);
		for (const fd of received) closeDescriptor(fd);
		expect(() => sender.send(new Array(65).fill(0))).toThrow("65 descriptors in one message; 1 to 64 can be sent");
		expect(() => sender.send([])).toThrow(RangeError);
		expect(receiver.receive()).toEqual([]);
		expect(descriptorsOpenedSince(before)).toEqual([]);
	});

	it("says false when the queue is full, loses nothing, and goes on when there is room", () => {
		const receiver = bind();
		const sender = connectTo();
		const before = descriptorsOf(process.pid);
		let sent = 0;
		while (sender.send([0, 0, 0])) {
			sent++;
			expect(sent).toBeLessThan(10_000);
		}
		expect(sent).toBeGreaterThan(0);
		const first = receiver.receive();
		expect(first).toHaveLength(3);
		expect(sender.send([0, 0])).toBe(true);
		const sizes: number[] = [];
		for (let received = receiver.receive(); received.length > 0; received = receiver.receive()) {
			sizes.push(received.length);
			for (const fd of received) closeDescriptor(fd);
		}
		expect(sizes).toEqual([...new Array(sent - 1).fill(3), 2]);
		for (const fd of first) closeDescriptor(fd);
		expect(descriptorsOpenedSince(before)).toEqual([]);
	});

	it("received descriptors are closed on exec", () => {
		const receiver = bind();
		connectTo().send([0]);
		const [fd] = receiver.receive();
		const flags = Number.parseInt(/flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))![1], 8);
		expect(flags & 0o2000000).not.toBe(0);
		closeDescriptor(fd);
	});

	it("sender may be there first, and recovers when the receiver dies and another one binds", () => {
		const sender = connectTo();
		expect(codeOf(() => sender.send([0]))).toBe("ENOENT");
		const first = bind();
		expect(sender.send([0])).toBe(true);
		first.close();
		expect(codeOf(() => sender.send([0]))).toBe("ECONNREFUSED");
		const second = bind();
		expect(sender.send([0, 0])).toBe(true);
		const received = second.receive();
		expect(received).toHaveLength(2);
		for (const fd of received) closeDescriptor(fd);
	});

	it("goes to the successor as soon as it has bound, even while the predecessor drains", () => {
		const first = bind();
		const sender = connectTo();
		const second = bind();
		sender.send([0]);
		expect(first.receive()).toEqual([]);
		for (const fd of second.receive()) closeDescriptor(fd);
	});

	it("gives each message to exactly one of the processes that share the receiver's end, and keeps it until the last of them is gone", () => {
		const first = bind();
		const second = DescriptorChannel.inherited(duplicate(first.descriptor), first.path);
		channels.push(second);
		const sender = connectTo();
		sender.send([0, 0]);
		sender.send([0]);
		sender.send([0, 0, 0]);
		const taken = [second.receive(), first.receive()];
		expect(taken.map(({ length }) => length)).toEqual([2, 1]);
		first.close();
		expect(sender.send([0, 0, 0, 0])).toBe(true);
		taken.push(second.receive(), second.receive());
		expect(taken.map(({ length }) => length)).toEqual([2, 1, 3, 4]);
		expect(second.receive()).toEqual([]);
		second.close();
		expect(codeOf(() => sender.send([0]))).toBe("ECONNREFUSED");
		for (const fd of taken.flat()) closeDescriptor(fd);
	});

	it("kernel closes what a dead receiver had not taken", async () => {
		const [client, fd] = await acceptedConnection();
		const receiver = bind();
		connectTo().send([fd]);
		closeDescriptor(fd);
		receiver.close();
		await once(client, "close");
	});

	it("treats a message with more descriptors than any sender may send as a bug, and leaks none of them", () => {
		const receiver = bind();
		Object.defineProperty(DescriptorChannel, "descriptorsMax", { value: 100 });
		const rogue = connectTo();
		const before = descriptorsOf(process.pid);
		try {
			expect(rogue.send(new Array(100).fill(0))).toBe(true);
		} finally {
			Object.defineProperty(DescriptorChannel, "descriptorsMax", { value: 64 });
		}
		expect(codeOf(() => receiver.receive())).toBe("MSG_CTRUNC");
		expect(descriptorsOpenedSince(before)).toEqual([]);
		expect(receiver.receive()).toEqual([]);
	});

	it("refuses a path that no Unix socket can have, naming the limit", () => {
		const path = directory.file("x".repeat(120));
		expect(() => DescriptorChannel.bind(path)).toThrow(/at most 107/);
		expect(() => DescriptorChannel.connect(path)).toThrow(/at most 107/);
	});

	it("sending a descriptor that is not open is an error and sends nothing", () => {
		const receiver = bind();
		const sender = connectTo();
		const closed = duplicate(0);
		closeDescriptor(closed);
		expect(codeOf(() => sender.send([0, closed]))).toBe("EBADF");
		expect(receiver.receive()).toEqual([]);
	});

	it("leaks no descriptor over 2,000 messages and when channels close", () => {
		const before = descriptorsOf(process.pid);
		const receiver = bind();
		const sender = connectTo();
		for (let round = 0; round < 2000; round++) {
			sender.send([0, 0, 0, 0]);
			for (const fd of receiver.receive()) closeDescriptor(fd);
		}
		receiver.close();
		receiver.close();
		sender.close();
		expect(descriptorsOpenedSince(before)).toEqual([]);
	});
});

/** A client, and the descriptor of its connection at the server, which nobody reads. */
async function acceptedConnection(): Promise<[Socket, number]> {
	const server = createServer({ pauseOnConnect: true }).listen(0, "127.0.0.1");
	await once(server, "listening");
	const client = connect((server.address() as { port: number }).port, "127.0.0.1");
	const [accepted] = (await once(server, "connection")) as [Socket & { _handle: { fd: number } }];
	const fd = duplicate(accepted._handle.fd);
	accepted.destroy();
	server.close();
	return [client, fd];
}

function tryRead(fd: number, into: Buffer): number {
	try {
		return readSync(fd, into);
	} catch (error) {
		expect((error as NodeJS.ErrnoException).code).toBe("EAGAIN");
		return -1;
	}
}

function codeOf(action: () => unknown): string {
	try {
		action();
	} catch (error) {
		expect(error).toBeInstanceOf(NativeError);
		return (error as NativeError).code;
	}
	throw new Error("nothing was thrown");
}

import { SteadyReaders, socketQueues, waitFor } from "@shardcast/testkit";
import { everybody, monotonicMs, RecordKind, recordBytes, writeRecordHead } from "@shardcast/wire";
import { afterEach, describe, expect, it } from "vitest";
import { startShards, type TestShards } from "../harness.ts";

let running: TestShards | undefined;
afterEach(async () => {
	await running?.stop();
	running = undefined;
});

const maxBufferedBytes = 200_000;
const messageBytes = 10_000;

function message(sequence: number): Buffer {
	const bytes = Buffer.alloc(messageBytes);
	bytes.writeUInt32LE(sequence);
	return bytes;
}

/** What the kernel holds at this port for clients with these ports, also after the shard has closed their connections. */
function unsentBytes(shardPort: number, clientPorts: readonly number[]): number {
	return socketQueues()
		.filter(({ localPort, remotePort }) => localPort === shardPort && clientPorts.includes(remotePort))
		.reduce((sum, { unsentBytes }) => sum + unsentBytes, 0);
}

describe("a burst", () => {
	it("that exceeds all buffers closes no client that reads; one that does not read is closed without delaying the others", async () => {
		const cluster = await startShards(1, { members: 2 });
		running = cluster;
		const { row, url } = cluster.shards[0];
		const count = 5;
		const readers = await SteadyReaders.open(
			Array.from({ length: count }, () => url),
			8_000_000,
		);
		try {
			const stalled = await cluster.rawClient();
			stalled.socket.tcp.pause();
			// As another shard does, or Kafka: as fast as the ring takes it.
			const publisher = cluster.bus.link(1);
			const bytes = recordBytes(everybody, messageBytes);
			const messages = 1600;
			for (let sequence = 0; sequence < messages; ) {
				const at = publisher.claim(bytes);
				if (at < 0) {
					publisher.read(messages, () => {});
					await new Promise((resolve) => setImmediate(resolve));
					continue;
				}
				const payload = writeRecordHead(publisher.view, publisher.u8, at, RecordKind.binary, 0, monotonicMs(), everybody);
				publisher.u8.set(message(sequence++), payload);
				publisher.commit();
				publisher.ringWaiters();
			}
			await readers.haveRead(messages, 20_000);
			expect(row.get("deliveryWaits")).toBeGreaterThan(0);
			expect(row.get("deliveryWaitedMs")).toBeLessThan(15_000);
			expect(row.get("clientsGivenUp")).toBeGreaterThan(0);
			stalled.socket.tcp.resume();
			expect((await stalled.closed).code).toBe(3008);
		} finally {
			readers.close();
		}
	}, 60_000);
});

describe("a client that reads too slowly", () => {
	it("gets every long message of those that waited once it reads again, with nothing new to send", async () => {
		const cluster = await startShards(1, { config: { maxBufferedBytes: 64_000_000 } });
		running = cluster;
		const [sender, fast] = [await cluster.client(), await cluster.client()];
		const slow = await cluster.rawClient();
		slow.socket.tcp.pause();
		// Some 20 MB, of which the kernel takes a few.
		const count = 400;
		for (let sent = 0; sent < count; ) {
			for (const until = sent + 20; sent < until; sent++) sender.send(Buffer.alloc(50_000, sent));
			await fast.waitForMessages(sent, 10_000);
		}
		slow.socket.tcp.resume();
		await slow.waitForMessages(count, 10_000);
		expect(slow.messages.map(({ bytes }) => bytes[0])).toEqual(Array.from({ length: count }, (_, index) => index & 255));
	}, 60_000);

	it("3008: gets everything up to the first message that it could not take, then the close frame, and never anything after a gap", async () => {
		const cluster = await startShards(1, { config: { maxBufferedBytes } });
		running = cluster;
		const { row } = cluster.shards[0];
		const [sender, fast] = [await cluster.client(), await cluster.client()];
		const slow = await cluster.rawClient();
		slow.socket.tcp.pause();
		let sent = 0;
		const sendSome = async (count: number) => {
			for (let index = 0; index < count; index++) sender.send(message(sent++));
			await fast.waitForMessages(sent, 10_000);
		};
		// The kernel buffers some megabytes before ours begins to fill.
		while (row.get("droppedMessages") === 0 && sent < 5000) await sendSome(20);
		expect(row.get("droppedMessages")).toBeGreaterThan(0);
		// It reads again while others still publish: what it then has room for must not reach it.
		slow.socket.tcp.resume();
		for (let round = 0; round < 15; round++) await sendSome(20);
		expect(await slow.closed).toEqual({ code: 3008, reason: "slow" });
		const received = slow.messages.map(({ bytes }) => bytes.readUInt32LE());
		expect(received).toEqual(Array.from({ length: received.length }, (_, index) => index));
		expect(received.length).toBeLessThan(sent);
		expect(fast.messages.map(({ bytes }) => bytes.readUInt32LE())).toEqual(Array.from({ length: sent }, (_, index) => index));
		expect(row.get("closedSlow")).toBe(1);
		expect(row.webSockets).toBe(2);
	}, 60_000);

	it("is reset after a while when it reads nothing at all, without affecting others", { timeout: 60_000, tags: ["long"] }, async () => {
		const cluster = await startShards(1, { config: { maxBufferedBytes } });
		running = cluster;
		const { row } = cluster.shards[0];
		const [sender, fast] = [await cluster.client(), await cluster.client()];
		const dead = await Promise.all([cluster.rawClient(), cluster.rawClient(0, "/?channels=a")]);
		for (const { socket } of dead) socket.tcp.pause();
		const ports = dead.map(({ socket }) => socket.tcp.localPort!);
		let sent = 0;
		while (row.webSockets === 4 && sent < 5000) {
			for (let index = 0; index < 20; index++) sender.send(message(sent++));
			await fast.waitForMessages(sent, 10_000);
			if (row.get("droppedMessages") > 0) break;
		}
		expect(unsentBytes(row.port, ports)).toBeGreaterThan(0);
		await waitFor(() => row.webSockets === 2, { deadlineMs: 15_000, what: "both cut" });
		expect(row.get("closedSlow")).toBe(2);
		await waitFor(() => row.connections === 2, { deadlineMs: 2000, what: "their connections closed" });
		// The kernel keeps nothing of them: closed in the usual way, each would leave some MB there for a minute.
		expect(unsentBytes(row.port, ports)).toBe(0);
		expect(row.get("clientsReset")).toBe(2);
		sender.send("and on");
		await fast.waitForMessages(sent + 1);
		expect(fast.texts().at(-1)).toBe("and on");
	});
});

import { Transform } from "node:stream";
import { stressed, waitFor } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import { FakeBackend, type FakeConnection, frameBytes } from "./support/fake-backend.ts";
import { gatewayRigs, type RigClient } from "./support/gateway-rig.ts";

const [control, file] = [1, 4];
const { start } = gatewayRigs();
const within = { deadlineMs: 10_000 };
const kibibyte = 1024;
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);
const content = (index: number, bytes: number) => `${index} `.padEnd(bytes, "x");

/** Writes frames to a gateway for as long as it takes them. @returns how many were written so far. */
function writeAlways(link: FakeConnection, frame: (index: number) => Buffer): { count: number; stop(): void } {
	const writing = {
		count: 0,
		isStopped: false,
		stop: () => {
			writing.isStopped = true;
		},
	};
	const more = (): void => {
		while (!writing.isStopped && link.socket.writable) if (!link.socket.write(frame(writing.count++))) return;
	};
	link.socket.on("drain", more);
	more();
	return writing;
}

/** Gives back all frames but those of the gateway itself. */
function echo(): Transform {
	let rest = Buffer.alloc(0);
	return new Transform({
		transform(piece: Buffer, _encoding, done) {
			rest = Buffer.concat([rest, piece]);
			const frames: Buffer[] = [];
			while (rest.length >= 12 && rest.length >= 12 + rest.readUInt32BE()) {
				const end = 12 + rest.readUInt32BE();
				if (rest[12] !== 0) frames.push(rest.subarray(0, end));
				rest = rest.subarray(end);
			}
			done(null, Buffer.concat(frames));
		},
	});
}

describe("what waits in a gateway", () => {
	it("a client may send thousands of frames at once: what the backend's socket takes does not wait", async () => {
		const rig = await start({ clientQueueFrames: 8, backendQueueFrames: 8, backendPriorityFrames: 8 });
		const client = await rig.client();
		const count = 3000;
		client.burst(() => {
			for (let index = 0; index < count; index++) client.send(index % 2 === 0 ? control : file, 1, `${index}`);
		});
		const got = () => rig.backends[0]!.connections.flatMap(({ frames }) => frames.filter(({ frameClass }) => frameClass !== 0));
		await waitFor(() => got().length >= count, { ...within, what: "all frames" });
		expect(client.closed).toBeNull();
		for (const wanted of [control, file]) {
			const of = got().filter(({ frameClass }) => frameClass === wanted);
			expect(of.map(({ content }) => Number(content))).toEqual(
				Array.from({ length: count / 2 }, (_, at) => 2 * at + (wanted === file ? 1 : 0)),
			);
		}
	});

	it("a backend that does not read its data connection: its CONTROL passes, other backends get all, and too much held closes the client", async () => {
		const first = await FakeBackend.open();
		// The data connection says hello, and is not read after that.
		first.onConnection = ({ socket, frames }) =>
			socket.once("data", () => frames.some(({ content }) => content.includes('"link":"data"')) && socket.pause());
		const rig = await start({ clientQueueFrames: 8, backendQueueFrames: 8 }, [first, await FakeBackend.open()]);
		const [sender, other] = [await rig.client(), await rig.client()];
		await rig.backends[0]!.connection("data");
		const chunk = Buffer.alloc(256 * kibibyte);
		while (rig.report.held < 4) {
			sender.send(file, 1, chunk);
			await waitFor(() => sender.socket.bufferedAmount === 0, { ...within, what: "the frame has left the client" });
			await rig.metric("shardcast_gateway_held_frames");
		}
		other.send(control, 1, "control");
		other.send(file, 2, "file");
		const [controls, files] = [await rig.backends[0]!.connection("control"), await rig.backends[1]!.connection("data")];
		await waitFor(() => controls.story.includes("control") && files.story.includes("file"), { ...within, what: "both frames" });
		for (let sent = 0; sent < 32; sent++) sender.send(file, 1, chunk);
		expect(await sender.closing()).toEqual({ code: 1013, reason: "too many frames wait for backends; try again later" });
		expect(rig.report.clients.closed.too_many_held).toBe(1);
		// What was taken is passed on, although its client is gone.
		const data = await rig.backends[0]!.connection("data");
		const taken = rig.report.frames.to_backends! - 2;
		data.socket.resume();
		await waitFor(() => data.frames.filter(({ frameClass }) => frameClass === file).length === taken, {
			...within,
			what: "all taken frames",
		});
	});

	it("a client that does not read: others of the backend's control connection go on, FILE waits, and goes on when it reads", async () => {
		const rig = await start({ stalledClientTimeoutMs: 60_000 });
		const [slow, quick] = [await rig.client(), await rig.client()];
		const [controls, data] = await Promise.all([rig.backends[0]!.connection("control"), rig.backends[0]!.connection("data")]);
		const order: number[] = [];
		slow.onFrame = ({ content }) => order.push(content.readUInt32BE(0));
		slow.pause();
		const writing = writeAlways(data, (index) => {
			const content = Buffer.alloc(64 * kibibyte);
			content.writeUInt32BE(index);
			return frameBytes(file, slow.id, content);
		});
		await waitFor(() => rig.report.backends[0]!.stopped.client! > 0, { ...within, what: "the data connection waits" });
		controls.socket.write(frameBytes(control, quick.id, "quick"));
		await waitFor(() => quick.texts.includes("quick"), { ...within, what: "CONTROL for the other client" });
		expect(rig.report.queues.to_clients_low!.waiting).toBeLessThanOrEqual(64);
		writing.stop();
		slow.socket.resume();
		await waitFor(() => order.length === writing.count, { ...within, what: "all FILE frames" });
		expect(order).toEqual(order.map((_, index) => index));
		expect(rig.report.dropped.client_closed).toBe(0);
	});

	it.each(["goes on", "drains"])("a client that was paused and reads again gets every long frame from a gateway that %s", async (which) => {
		const queue = { clientQueueFrames: 200, clientQueueBytes: 64 * 2 ** 20, bufferMemoryBytes: 2 ** 30 };
		const rig = await start({ ...queue, shutdownTimeoutMs: 40_000 });
		const [client, other] = [await rig.client(), await rig.client()];
		client.pause();
		const links = { control: await rig.backends[0]!.connection("control"), data: await rig.backends[0]!.connection("data") };
		const [controls, files] = [numbers(100), numbers(60)];
		for (const index of controls) links.control.socket.write(frameBytes(control, client.id, content(index, 50_000)));
		for (const index of files) links.data.socket.write(frameBytes(file, client.id, content(index, 500_000)));
		// Everything has come from the backend: nothing else makes the gateway write to this client.
		await waitFor(() => rig.report.frames.from_backends === controls.length + files.length, {
			...within,
			what: "all frames in the gateway",
		});
		expect(rig.report.frames.to_clients).toBeLessThan(controls.length + files.length);
		const cutOff = which === "drains" ? rig.gateway.drain() : 0;
		client.socket.resume();
		await waitFor(() => client.frames.length === controls.length + files.length, { deadlineMs: 20_000, what: "all frames" });
		for (const [wanted, all] of [
			[control, controls],
			[file, files],
		] as const)
			expect(
				client.frames.filter(({ frameClass }) => frameClass === wanted).map(({ content }) => Number(`${content}`.split(" ")[0])),
			).toEqual(all);
		expect(await cutOff).toBe(0);
		if (which === "drains") for (const each of [client, other]) expect(await each.closing()).toEqual({ code: 1001, reason: "shutdown" });
	});

	it("a client that takes nothing for --stalled-client-timeout is closed with 3008, and its backend goes on", async () => {
		const rig = await start({ stalledClientTimeoutMs: 500 });
		const [stalled, other] = [await rig.client(), await rig.client()];
		const data = await rig.backends[0]!.connection("data");
		stalled.pause();
		const writing = writeAlways(data, () => frameBytes(file, stalled.id, Buffer.alloc(64 * kibibyte)));
		await waitFor(() => rig.report.clients.closed.stalled === 1, { ...within, what: "the client is closed" });
		writing.stop();
		data.socket.write(frameBytes(file, other.id, "after"));
		await waitFor(() => other.texts.includes("after"), { ...within, what: "FILE for the other client" });
		stalled.socket.resume();
		expect(await stalled.closing()).toEqual({ code: 3008, reason: "slow" });
		expect(rig.report.buffers.tiers.reduce((sum, { inUse }) => sum + inUse, 0)).toBe(0);
	});

	it("a client is not closed for time in which the gateway stood still", async () => {
		const rig = await start({ stalledClientTimeoutMs: 2000 });
		const client = await rig.client();
		const data = await rig.backends[0]!.connection("data");
		client.pause();
		const writing = writeAlways(data, () => frameBytes(file, client.id, Buffer.alloc(64 * kibibyte)));
		await waitFor(() => rig.report.backends[0]!.stopped.client! > 0, { ...within, what: "the data connection waits" });
		writing.stop();
		client.socket.resume();
		await new Promise<void>((resolve) =>
			setImmediate(() => {
				Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500);
				resolve();
			}),
		);
		await waitFor(() => client.frames.length === writing.count, { ...within, what: "all frames" });
		expect([rig.report.clients.closed.stalled, client.closed]).toEqual([0, null]);
	});

	it("a broadcast of FILE with a client that does not read: each frame once to each, in order", async () => {
		const rig = await start({ clientQueueFrames: 4, stalledClientTimeoutMs: 60_000 });
		const clients = [await rig.client(), await rig.client(), await rig.client()];
		const data = await rig.backends[0]!.connection("data");
		const orders = clients.map((client) => {
			const order: number[] = [];
			client.onFrame = ({ content }) => order.push(content.readUInt32BE(0));
			return order;
		});
		clients[1]!.pause();
		const writing = writeAlways(data, (index) => {
			const content = Buffer.alloc(128 * kibibyte);
			content.writeUInt32BE(index);
			return frameBytes(file, 0, content);
		});
		await waitFor(() => rig.report.backends[0]!.stopped.client! > 0, { ...within, what: "the connection waits" });
		writing.stop();
		clients[1]!.socket.resume();
		await waitFor(() => orders.every(({ length }) => length === writing.count), { ...within, what: "all frames at all clients" });
		for (const order of orders) expect(order).toEqual(order.map((_, index) => index));
	});

	it("CONTROL passes a client's full low lane", async () => {
		const rig = await start({ stalledClientTimeoutMs: 60_000 });
		const client = await rig.client();
		const [controls, data] = await Promise.all([rig.backends[0]!.connection("control"), rig.backends[0]!.connection("data")]);
		client.pause();
		const writing = writeAlways(data, () => frameBytes(file, client.id, Buffer.alloc(64 * kibibyte)));
		await waitFor(() => rig.report.backends[0]!.stopped.client! > 0, { ...within, what: "the data connection waits" });
		writing.stop();
		controls.socket.write(frameBytes(control, client.id, "urgent"));
		await waitFor(() => rig.report.queues.to_clients_high!.waiting === 1, { ...within, what: "the urgent frame waits" });
		const waiting = rig.report.queues.to_clients_low!.waiting;
		// What is in the socket already cannot be passed, so it is little.
		expect(rig.gateway.hub.clients.all[0]!.transport.getBufferedAmount()).toBeLessThan(2 * 64 * kibibyte + 100);
		client.socket.resume();
		await waitFor(() => client.frames.length === writing.count + 1, { ...within, what: "all frames" });
		const place = client.frames.findIndex(({ frameClass }) => frameClass === control);
		// It came after all others, and passed those in the lane and in the backend's socket.
		expect(writing.count - place).toBeGreaterThanOrEqual(waiting);
	});

	it("counts exactly under load while clients are killed: CONTROL and FILE, each once and in order", async () => {
		const rig = await start({}, 2);
		const perClient = stressed(400);
		const clients: RigClient[] = [];
		for (let count = 0; count < 6; count++) clients.push(await rig.client());
		const [doomed, lasting] = [clients.slice(0, 2), clients.slice(2)];
		const links = await Promise.all(rig.backends.flatMap((backend) => [backend.connection("control"), backend.connection("data")]));
		// Each backend sends every frame of a client back.
		for (const { socket } of links) socket.pipe(echo(), { end: false }).pipe(socket);
		const seen = new Map(lasting.map((client) => [client, new Map<string, number>()]));
		const streams = new Set(["1 1", "1 2", "4 1", "4 2"]);
		const faults: string[] = [];
		for (const client of lasting)
			client.onFrame = ({ frameClass, backendId, content }) => {
				const key = `${frameClass} ${backendId}`;
				const next = seen.get(client)!.get(key) ?? 0;
				const number = content.readUInt32BE(0);
				if (number !== next) faults.push(`client ${client.id}, ${key}: ${number} instead of ${next}`);
				seen.get(client)!.set(key, next + 1);
			};
		const content = Buffer.alloc(600);
		const leastSeen = () => Math.min(...lasting.map((client) => Math.min(...[...streams].map((key) => seen.get(client)!.get(key) ?? 0))));
		for (let index = 0; index < perClient; index++) {
			content.writeUInt32BE(index);
			for (const client of [...lasting, ...doomed])
				for (const backend of [1, 2]) for (const frameClass of [control, file]) client.send(frameClass, backend, Buffer.from(content));
			if (index === perClient / 2) for (const { socket } of doomed) socket.terminate();
			// A client may have 64 frames waiting: of four streams, 16 each.
			if (index % 8 === 7) await waitFor(() => leastSeen() >= index - 8, { ...within, what: "answers", everyMs: 1 });
		}
		await waitFor(() => leastSeen() === perClient, { ...within, what: "all frames" });
		expect(faults).toEqual([]);
		expect(clients.slice(2).map(({ closed }) => closed)).toEqual([null, null, null, null]);
		await waitFor(() => rig.report.buffers.tiers.every(({ inUse }) => inUse === 0), { ...within, what: "all buffers are back" });
	});
});

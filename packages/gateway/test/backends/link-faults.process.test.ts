import { freePorts, waitFor } from "@shardcast/testkit";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { BackendLink } from "../../src/backends/backend-link.ts";
import type { LinkCounts } from "../../src/backends/link-counts.ts";
import { BufferPool } from "../../src/buffers/buffer-pool.ts";
import { FrameClass } from "../../src/frames/frame-descriptor.ts";
import { HeldBudget } from "../../src/lanes/held-frames.ts";
import { type FakeBackend, type FakeConnection, frameBytes } from "../support/fake-backend.ts";
import { leavesNothing } from "../support/leaves-nothing.ts";
import { busyClock, linkRig, openBackend } from "../support/link-rig.ts";

leavesNothing();
let backend: FakeBackend;
// Its first call opens a socket that stays open.
beforeAll(() => freePorts());
beforeEach(async () => {
	backend = await openBackend();
});

const within = (what: string) => ({ what, deadlineMs: 20_000 });
const ended = (link: BackendLink, counts: Partial<LinkCounts>) =>
	waitFor(() => expect(link.counts).toMatchObject(counts) ?? true, within("the end"));

describe("a link whose backend fails", () => {
	it("is dialled again when the backend closes a connection before it has read anything, each time", async () => {
		backend.isReading = false;
		let count = 0;
		backend.onConnection = ({ socket }) => {
			if (count++ < 6) socket.destroy();
		};
		const { link } = linkRig(backend.port);
		link.start();
		await waitFor(() => link.isUp && link.counts.failures >= 3 && backend.open.length === 2, within("the link is up and stays so"));
		expect(link.counts.ends.lost + link.counts.ends.dial).toBe(link.counts.failures);
		expect(link.breaker.failures).toBe(link.counts.failures);
	});

	it("is dialled again when the backend accepts only the first of two connections", async () => {
		backend.onConnection = ({ socket }) => {
			if (backend.connections.length === 2) socket.resetAndDestroy();
		};
		const { link } = linkRig(backend.port);
		link.start();
		await waitFor(() => link.isUp && backend.open.length === 2 && backend.connections.length === 4, within("the link is up"));
		expect(link.counts.failures).toBe(1);
		expect(backend.connections[0]!.isClosed, "the other one was closed, too").toBe(true);
	});

	it.each(["control", "data"] as const)("closes the other connection when the %s connection ends, and opens both again", async (kind) => {
		const rig = linkRig(backend.port, { clients: [7] });
		await rig.up();
		const first = await backend.connection(kind);
		await backend.connection(kind === "control" ? "data" : "control");
		first.socket.end();
		await ended(rig.link, { ups: 2 });
		await waitFor(() => backend.open.length === 2, within("two connections"));
		const control = await backend.connection("control");
		await waitFor(() => control.messages.length === 2, within("all of the start"));
		expect(control.story).toEqual(["hello", "clients"]);
		expect(rig.states).toEqual(["up", "down lost", "up"]);
		expect(rig.events).toContainEqual(expect.stringContaining(`: a connection ended (${kind} connection: the backend closed it); next`));
		expect(rig.link.counts).toMatchObject({ failures: 1, dials: 2 });
	});

	it("begins the next connection with its hello when the list of those who left was too much for the one before", async () => {
		const rig = linkRig(backend.port);
		await rig.up();
		for (let client = 1; client <= 4090; client++) rig.link.clientJoined(client);
		// Twenty messages.
		rig.link.clientsLeft(Array.from({ length: 2000 }, (_, client) => client + 1));
		expect(rig.link.counts.ends.backlog).toBe(1);
		await ended(rig.link, { ups: 2 });
		const control = await backend.connection("control");
		await waitFor(() => control.messages.length >= 2, within("all of the start"));
		expect(control.story).toEqual(["hello", "clients"]);
	});

	it("delivers what came whole before the backend was killed in the middle of a frame, and nothing of that one", async () => {
		const rig = linkRig(backend.port);
		await rig.up();
		const data = await backend.connection("data");
		const half = frameBytes(FrameClass.FILE, 0, "x".repeat(100_000)).subarray(0, 60_000);
		data.socket.write(Buffer.concat([frameBytes(FrameClass.FILE, 0, "whole"), half]));
		await waitFor(() => rig.frames.length === 1 && rig.pool.inUse === 1, within("the first frame, and the start of the second"));
		data.socket.resetAndDestroy();
		await ended(rig.link, { ups: 2 });
		expect(rig.pool.inUse).toBe(0);
		(await backend.connection("data")).socket.write(frameBytes(FrameClass.FILE, 0, "next"));
		await waitFor(() => rig.frames.length === 2, within("the next frame"));
		expect(rig.frames.map(({ text }) => text)).toEqual(["whole", "next"]);
	});

	it("ends when the rest of a frame does not come, though the backend answers pings; not while the gateway does not read", async () => {
		const rig = linkRig(backend.port, { idleMs: 400, nowMs: busyClock() });
		backend.onConnection = (each) => {
			each.onFrame = ({ content }) => {
				if (content.includes('"ping"')) each.socket.write(frameBytes(FrameClass.LINK, 0, '{"type":"pong"}'));
			};
		};
		await rig.up();
		const data = await backend.connection("data");
		const frame = frameBytes(FrameClass.FILE, 0, "x".repeat(100_000));
		rig.hold("data");
		data.socket.write(frame.subarray(0, 60_000));
		await waitFor(() => rig.link.counts.readingStopped.paused === 1, within("the start of a frame, which waits"));
		const control = await backend.connection("control");
		const pings = () => control.messages.filter(({ type }) => type === "ping").length;
		const before = pings();
		await waitFor(() => pings() >= before + 4, within("it is idle for long"));
		expect(rig.link.counts.ends.stalled).toBe(0);
		rig.letGo("data");
		await waitFor(() => rig.pool.inUse === 1, within("it is read"));
		data.socket.write(frame.subarray(60_000));
		await waitFor(() => rig.frames.length === 1, within("the whole frame"));
		data.socket.write(frame.subarray(0, 60_000));
		await ended(rig.link, { ups: 2 });
		expect(rig.link.counts.ends).toMatchObject({ stalled: 1, idle: 0, lost: 0 });
		expect(rig.events).toContainEqual(expect.stringContaining("did not come within --backend-idle-timeout (data connection); next"));
		expect(rig.pool.inUse).toBe(0);
	});

	it.each([0, 1000, 1001, 2 ** 31, 2 ** 32 - 1])(
		"ends when a frame of %d bytes is announced, of at most 1,000, and takes no buffer for it",
		async (length) => {
			const rig = linkRig(backend.port, { frameBytesMax: 1000 });
			await rig.up();
			const head = Buffer.alloc(12);
			head.writeUInt32BE(length);
			(await backend.connection("data")).socket.write(head);
			const control = await backend.connection("control");
			if (length === 1000) {
				control.socket.write(frameBytes(FrameClass.CONTROL, 0, "fine"));
				await waitFor(() => rig.frames.length === 1, within("a frame"));
				expect(rig.link.counts.failures).toBe(0);
				return;
			}
			await ended(rig.link, { ups: 2 });
			expect(rig.link.counts.ends.oversized).toBe(1);
			expect(rig.link.counts.failures).toBe(1);
			expect(rig.pool.reservedBytes).toBe(0);
			expect(rig.events).toContainEqual(
				expect.stringContaining(length === 0 ? "data connection: a frame of no bytes" : `a frame of ${length} bytes`),
			);
		},
	);

	it("asks a silent backend for a sign of life after half of the idle timeout, and ends after all of it", async () => {
		const rig = linkRig(backend.port, { idleMs: 300 });
		const began = performance.now();
		await rig.up();
		const control = await backend.connection("control");
		await waitFor(() => control.story.at(-1) === "ping", within("a ping"));
		expect(performance.now() - began).toBeGreaterThanOrEqual(149);
		await ended(rig.link, { ups: 2 });
		expect(performance.now() - began).toBeGreaterThanOrEqual(299);
		expect(rig.states).toEqual(["up", "down idle", "up"]);
		expect(rig.link.counts).toMatchObject({ failures: 1, ends: { idle: 1 } });
	});

	it("stays up as long as the backend answers, and does not take what comes on the data connection for a sign of life", async () => {
		const rig = linkRig(backend.port, { idleMs: 200, nowMs: busyClock() });
		await rig.up();
		const control = await backend.connection("control");
		let answered = 0;
		const answer = setInterval(() => {
			const pings = control.messages.filter(({ type }) => type === "ping").length;
			if (pings > answered && answered < 5 && ++answered) control.socket.write(frameBytes(FrameClass.LINK, 0, '{"type":"pong"}'));
		}, 5);
		await waitFor(() => answered === 5, within("five answers"));
		clearInterval(answer);
		expect(rig.link.counts).toMatchObject({ ups: 1, failures: 0 });
		const data = await backend.connection("data");
		const chatter = setInterval(() => data.socket.write(frameBytes(FrameClass.FILE, 0, "x")), 20);
		await waitFor(() => rig.states.includes("down idle"), within("the end"));
		clearInterval(chatter);
	});

	it("does not take a backend for silent whose ping waits for bandwidth", async () => {
		const pool = new BufferPool();
		const rig = linkRig(backend.port, { idleMs: 200, bandwidth: 5000, pool });
		await rig.up();
		const control = await backend.connection("control");
		let answered = 0;
		control.socket.on("data", () => {
			const pings = control.messages.filter(({ type }) => type === "ping").length;
			for (; answered < pings; answered++) control.socket.write(frameBytes(FrameClass.LINK, 0, '{"type":"pong"}'));
		});
		const frame = pool.take(10_000)!;
		frame.fill(Buffer.alloc(10_000, FrameClass.CONTROL));
		frame.seal(1, rig.link.id);
		rig.link.send(frame, new HeldBudget());
		frame.release();
		await waitFor(() => answered >= 2, within("answers after the bandwidth was used up for a second"));
		expect(rig.states).toEqual(["up"]);
	});

	it("does not take a backend for silent whose control connection it does not read itself", async () => {
		const rig = linkRig(backend.port, { idleMs: 100 });
		await rig.up();
		rig.hold("control");
		(await backend.connection("control")).socket.write(frameBytes(FrameClass.CONTROL, 0, "waits"));
		await waitFor(() => rig.link.counts.readingStopped.paused === 1, within("it is not read"));
		const began = performance.now();
		await waitFor(() => performance.now() - began > 350, within("more than the idle timeout"));
		expect(rig.states).toEqual(["up"]);
		rig.letGo("control");
		await waitFor(() => rig.states.includes("down idle"), within("the end, since it is silent indeed"));
	});

	it("gives back what a backend that never reads did not take, and does not delay another backend", async () => {
		const other = await openBackend();
		backend.isReading = false;
		const rig = linkRig(backend.port, { queueFrames: 4, priorityQueueFrames: 4 });
		const swift = linkRig(other.port);
		await rig.up();
		await swift.up();
		const budget = new HeldBudget(3);
		const sent: string[] = [];
		const big = "x".repeat(100_000);
		for (;;) {
			const outcome = rig.send(FrameClass.FILE, big, 7, budget);
			if (outcome === "full") break;
			sent.push(outcome);
			await new Promise(setImmediate);
		}
		expect(sent.slice(-4)).toEqual(["queued", "held", "held", "held"]);
		expect(rig.send(FrameClass.VIDEO, "video")).toBe("dropped");
		swift.send(FrameClass.FILE, "file");
		rig.send(FrameClass.CONTROL, "control");
		const data = await other.connection("data");
		await waitFor(() => data.story.length === 2, within("the other backend's frame"));
		for (const connection of backend.connections) connection.read();
		const control = await backend.connection("control");
		const slow = await backend.connection("data");
		await waitFor(() => slow.frames.length === sent.length + 1 && control.story.includes("control"), within("all frames, once it reads"));
		expect(rig.undelivered).toEqual([]);
		expect(budget.frames).toBe(0);
		await waitFor(() => rig.pool.inUse === 0, within("no frame is left"));
	});

	it("tells which frames may not have arrived when it ends, but not VIDEO", async () => {
		backend.isReading = false;
		const rig = linkRig(backend.port, { queueFrames: 64 });
		await rig.up();
		const big = "x".repeat(1_000_000);
		for (let count = 0; count < 20; count++) rig.send(FrameClass.FILE, `${count} ${big}`);
		rig.send(FrameClass.VIDEO, "video");
		// The control connection is not full, so this one arrives; the kernel cannot have taken 20 MB.
		rig.send(FrameClass.CONTROL, "control");
		let writes = 0;
		let polls = 0;
		const isStuck = (): boolean => {
			polls = rig.link.counts.writes === writes ? polls + 1 : 0;
			writes = rig.link.counts.writes;
			return polls === 10;
		};
		await waitFor(isStuck, within("the kernel takes no more"));
		// For the next connections, which may come before the end is seen here.
		backend.isReading = true;
		backend.cut();
		await waitFor(() => rig.states.includes("down lost"), within("the end"));
		const numbers = rig.undelivered.map((text) => Number(text.split(" ")[0]));
		// Two hellos, the list of clients and the control frame went before; the last of the others was on its way.
		const onItsWay = rig.link.counts.sentFrames - 4 - 1;
		expect(onItsWay).toBeLessThan(19);
		expect(numbers).toEqual(Array.from({ length: 20 - onItsWay }, (_, index) => onItsWay + index));
		expect(rig.link.counts).toMatchObject({ undelivered: numbers.length, undeliveredVideo: 1 });
		expect(rig.pool.inUse).toBe(0);
		expect(rig.link.outbox.isEmpty).toBe(true);
		await waitFor(() => rig.link.isUp, within("the link is up again"));
		expect((await backend.connection("data")).story).toEqual(["hello"]);
	});

	it("sends nothing while it is down, and tells so", async () => {
		const rig = linkRig(await freePorts());
		rig.link.start();
		await waitFor(() => rig.link.counts.failures >= 2, within("two failures"));
		expect(rig.send(FrameClass.CONTROL, "control")).toBe("down");
		rig.link.clientJoined(8);
		expect(rig.link.outbox.isEmpty).toBe(true);
		expect(rig.pool.inUse).toBe(0);
	});

	it("ends when a backend does not read while thousands of clients come and go", async () => {
		backend.isReading = false;
		const rig = linkRig(backend.port);
		await rig.up();
		const big = Buffer.alloc(1_000_000);
		for (let count = 0; count < 12; count++) rig.send(FrameClass.CONTROL, big);
		await waitFor(() => rig.link.counts.writes >= 3, within("the socket is full"));
		let joined = 0;
		while (rig.link.isUp && joined < 10_000) rig.link.clientJoined(++joined);
		expect(joined).toBeGreaterThanOrEqual(4096);
		expect(joined).toBeLessThan(4200);
		expect(rig.link.counts.ends.backlog).toBe(1);
		expect(rig.states).toEqual(["up", "down backlog"]);
		expect(rig.pool.inUse).toBe(0);
	});

	it("opens its breaker after exactly ten failures, then probes once at a time, and closes it when the backend is back", async () => {
		const port = await freePorts();
		const rig = linkRig(port, {
			...{ stableMs: 1000, breaker: { failuresMax: 10, openMs: 1000, probesMax: 1 } },
			reconnect: { firstMs: 1, mostMs: 2, jitter: 0 },
		});
		const { link } = rig;
		const began = performance.now();
		link.start();
		await waitFor(() => link.breaker.opened === 1, within("it is open"));
		expect(link.counts).toMatchObject({ dials: 10, failures: 10, ends: { dial: 10 } });
		expect(link.breaker.state).toBe("OPEN");
		await ended(link, { dials: 11 });
		expect(performance.now() - began).toBeGreaterThanOrEqual(999);
		await waitFor(() => link.breaker.opened === 2, within("it is open again after one failure"));
		expect(link.counts).toMatchObject({ dials: 11, failures: 11 });
		await openBackend(port);
		await waitFor(() => link.isUp, within("the backend is back"));
		expect(link.breaker.state).toBe("HALF_OPEN");
		await waitFor(() => link.breaker.state === "CLOSED", within("it is closed"));
		expect(link.breaker.failures).toBe(0);
		expect(link.counts.dials).toBe(12);
		// One line about the connection that fails, and one about the breaker.
		expect(rig.events.filter((each) => each.startsWith("log"))).toHaveLength(2);
	});

	it("does not count the end of a link that was up for long as a failure", async () => {
		const rig = linkRig(backend.port, { stableMs: 20 });
		await rig.up();
		await backend.connection("control");
		const began = performance.now();
		await waitFor(() => performance.now() - began > 60, within("the link is stable"));
		backend.cut();
		await ended(rig.link, { ups: 2 });
		expect(rig.link.counts).toMatchObject({ failures: 0, ends: { lost: 1 } });
	});

	it.each(["while it is up", "while it waits"] as const)("can be stopped %s, and leaves nothing", async (when) => {
		const port = when === "while it waits" ? await freePorts() : backend.port;
		const rig = linkRig(port, { reconnect: { firstMs: 60_000, mostMs: 60_000, jitter: 0 } });
		rig.link.start();
		if (when === "while it is up") await waitFor(() => rig.link.isUp, within("the link is up"));
		if (when === "while it waits") await ended(rig.link, { failures: 1 });
		rig.link.stop();
		rig.link.stop();
		await waitFor(() => backend.open.length === 0, within("no connection"));
		expect(rig.states).toEqual(when === "while it is up" ? ["up", "down stopped"] : []);
	});

	it("drains: what waits is written before it stops", async () => {
		const rig = linkRig(backend.port);
		await rig.up();
		for (let count = 0; count < 50; count++) rig.send(FrameClass.FILE, `${count} ${"x".repeat(100_000)}`);
		const data: FakeConnection = await backend.connection("data");
		await rig.link.drain(5000);
		expect(rig.undelivered).toEqual([]);
		await waitFor(() => data.isClosed, within("the end"));
		expect(data.frames).toHaveLength(51);
	});

	it("drains no longer than it may", async () => {
		backend.isReading = false;
		const rig = linkRig(backend.port);
		await rig.up();
		for (let count = 0; count < 30; count++) rig.send(FrameClass.FILE, Buffer.alloc(1_000_000));
		await rig.link.drain(50);
		expect(rig.link.isUp).toBe(false);
		expect(rig.undelivered.length).toBeGreaterThan(10);
		expect(rig.pool.inUse).toBe(0);
	});

	it("waits for a buffer when there is none for a frame that may not be dropped, and goes on when one is free", async () => {
		const pool = new BufferPool({ tiers: [{ bytes: 1024, buffersMax: 3 }], memoryBytesMax: 1e6 });
		const rig = linkRig(backend.port, { pool, frameBytesMax: 1024 });
		await rig.up();
		const taken = [pool.take(10)!, pool.take(10)!, pool.take(10)!];
		const data = await backend.connection("data");
		data.socket.write(Buffer.concat([frameBytes(FrameClass.VIDEO, 0, "video"), frameBytes(FrameClass.FILE, 0, "file")]));
		await waitFor(() => rig.link.counts.readingStopped.buffer === 1, within("it waits"));
		expect(rig.link.counts.reader.droppedWithoutBuffer).toBe(1);
		expect(rig.frames).toEqual([]);
		// A connection has at most as much as it leaves free.
		taken.pop()!.release();
		taken.pop()!.release();
		rig.link.buffersFreed();
		await waitFor(() => rig.frames.length === 1, within("the frame"));
		expect(rig.frames[0]!.text).toBe("file");
		taken.pop()!.release();
	});
});

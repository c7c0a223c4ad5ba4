import { waitFor } from "@shardcast/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import { Frame } from "../../src/buffers/frame.ts";
import { FrameClass } from "../../src/frames/frame-descriptor.ts";
import { type FakeBackend, type FakeConnection, frameBytes } from "../support/fake-backend.ts";
import { leavesNothing } from "../support/leaves-nothing.ts";
import { linkRig, openBackend } from "../support/link-rig.ts";

leavesNothing();
let backend: FakeBackend;
beforeEach(async () => {
	backend = await openBackend();
});

const within = (what: string) => ({ what, deadlineMs: 20_000 });
const count = 300;
const names = Array.from({ length: count }, (_, index) => `${index}`);
const other = (kind: "control" | "data") => (kind === "control" ? "data" : "control");

/** Far more than is read before the end of the other connection is seen. */
function writeAll({ socket }: FakeConnection, frameClass: FrameClass): void {
	for (const name of names) socket.write(frameBytes(frameClass, 0, name.padEnd(10_000)));
}

describe("a backend that has said all and closes both connections", () => {
	it.each(["control", "data"] as const)("loses nothing of the %s connection when the other one ends first", async (kind) => {
		const rig = linkRig(backend.port);
		await rig.up();
		const [late, early] = [await backend.connection(kind), await backend.connection(other(kind))];
		rig.hold(kind);
		writeAll(late, kind === "control" ? FrameClass.CONTROL : FrameClass.FILE);
		late.socket.end();
		early.socket.end();
		await waitFor(() => early.isClosed, within("the end of one"));
		expect(rig.link.isUp).toBe(false);
		expect(rig.send(FrameClass.CONTROL, "too late")).toBe("down");
		expect(rig.states).toEqual(["up"]);
		rig.letGo(kind);
		await waitFor(() => rig.states.length > 1, within("the end of the link"));
		expect(rig.frames.map(({ text }) => text.trim())).toEqual(names);
		expect(rig.states.slice(0, 2)).toEqual(["up", "down lost"]);
		expect(rig.link.counts).toMatchObject({ failures: 1, ends: { lost: 1 }, undelivered: 0 });
		expect(rig.pool.inUse).toBe(0);
		await waitFor(() => rig.link.isUp, within("the link is up again"));
	});

	it("is told at once that nothing more comes, on both connections, and clients about frames that it did not get", async () => {
		const rig = linkRig(backend.port);
		await rig.up();
		const [early, late] = [await backend.connection("control"), await backend.connection("data")];
		late.socket.pause();
		rig.hold("data");
		for (let index = 0; index < 100; index++) rig.send(FrameClass.FILE, Buffer.alloc(100_000));
		await waitFor(() => rig.link.counts.writes > 3, within("the socket is full"));
		writeAll(late, FrameClass.FILE);
		early.socket.end();
		await waitFor(() => rig.undelivered.length > 0, within("the end of one"));
		expect(rig.link.outbox.isEmpty).toBe(true);
		late.socket.resume();
		// The backend's socket ends by itself when the gateway's side does, after what it has written.
		rig.letGo("data");
		await waitFor(() => rig.states.includes("down lost"), within("the end of the link"));
		expect(rig.frames).toHaveLength(count);
	});

	it("reads no bytes of later frames in those that were under way on the other one", async () => {
		const rig = linkRig(backend.port);
		await rig.up();
		const [early, late] = [await backend.connection("control"), await backend.connection("data")];
		late.socket.pause();
		for (let index = 0; index < 100; index++) rig.send(FrameClass.FILE, Buffer.alloc(100_000, "a"));
		let full = { writes: 0, sinceMs: 0 };
		const isFull = (): boolean => {
			const { writes } = rig.link.counts;
			if (writes !== full.writes) full = { writes, sinceMs: performance.now() };
			return writes > 3 && performance.now() - full.sinceMs > 300;
		};
		await waitFor(isFull, within("the socket is full"));
		early.socket.end();
		await waitFor(() => rig.undelivered.length > 0, within("the end of one"));
		const later: Frame[] = [];
		for (let frame = rig.pool.take(100_000); frame !== null; frame = rig.pool.take(100_000)) {
			frame.bytes.fill("b", Frame.payloadAt);
			later.push(frame);
		}
		expect(later.length).toBeGreaterThan(100);
		late.socket.resume();
		await waitFor(() => rig.states.includes("down lost"), within("the end of the link"));
		const files = late.frames.filter(({ frameClass }) => frameClass === FrameClass.FILE);
		expect(files.length).toBeGreaterThan(10);
		expect(files.every(({ content }) => !content.includes("b"))).toBe(true);
		for (const frame of later) frame.release();
		expect(rig.pool.inUse).toBe(0);
	});

	it("may not leave the other one open for longer than the limit", async () => {
		backend.onConnection = ({ socket }) => {
			socket.allowHalfOpen = true;
		};
		const rig = linkRig(backend.port, { finishMs: 200 });
		await rig.up();
		const [control, data] = [await backend.connection("control"), await backend.connection("data")];
		const sending = setInterval(() => data.socket.write(frameBytes(FrameClass.VIDEO, 0, "video")), 10);
		control.socket.end();
		await waitFor(() => rig.states.length > 1, within("the end of the link"));
		clearInterval(sending);
		expect(rig.states.slice(0, 2)).toEqual(["up", "down lost"]);
		expect(rig.frames.length).toBeGreaterThan(3);
	});

	it("has more time while the gateway waits for clients, up to another limit", async () => {
		const rig = linkRig(backend.port, { finishMs: 100, finishMsMax: 1000 });
		await rig.up();
		const [control, data] = [await backend.connection("control"), await backend.connection("data")];
		rig.hold("data");
		data.socket.write(frameBytes(FrameClass.FILE, 0, "never read"));
		data.socket.end();
		const began = performance.now();
		control.socket.end();
		await waitFor(() => rig.states.length > 1, within("the end of the link"));
		expect(performance.now() - began).toBeGreaterThan(900);
		expect(rig.frames).toEqual([]);
	});

	it("can be stopped while the other one is read", async () => {
		const rig = linkRig(backend.port);
		await rig.up();
		const [control, data] = [await backend.connection("control"), await backend.connection("data")];
		rig.hold("data");
		data.socket.write(frameBytes(FrameClass.FILE, 0, "never read"));
		control.socket.end();
		await waitFor(() => !rig.link.isUp, within("the end of one"));
		await rig.link.drain(5000);
		expect(rig.states).toEqual(["up", "down stopped"]);
		expect(rig.link.breaker.failures).toBe(0);
	});
});

import { waitFor } from "@shardcast/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import { FrameClass } from "../../src/frames/frame-descriptor.ts";
import { type FakeBackend, frameBytes } from "../support/fake-backend.ts";
import { leavesNothing } from "../support/leaves-nothing.ts";
import { linkRig, openBackend } from "../support/link-rig.ts";

leavesNothing();
let backend: FakeBackend;
beforeEach(async () => {
	backend = await openBackend();
});

const within = (what: string) => ({ what, deadlineMs: 20_000 });
const names = Array.from({ length: 300 }, (_, index) => `${index}`);

/** @returns how often it has left. */
function leave({ link }: ReturnType<typeof linkRig>): { count: number } {
	const left = { count: 0 };
	link.leave(() => left.count++);
	return left;
}

/** The backend does not read its data connection, and so many FILE frames of 100 KB were sent. */
async function withFullSocket(count: number, options: Parameters<typeof linkRig>[1] = {}) {
	const rig = linkRig(backend.port, options);
	await rig.up();
	const data = await backend.connection("data");
	data.socket.pause();
	for (let index = 0; index < count; index++) rig.send(FrameClass.FILE, Buffer.alloc(100_000));
	await waitFor(() => rig.link.counts.writes > 3, within("the socket is full"));
	return { rig, data };
}

describe("a link that leaves", () => {
	it("reads all that the backend has written on both connections, and then has left", async () => {
		const rig = linkRig(backend.port);
		await rig.up();
		const connections = [await backend.connection("control"), await backend.connection("data")];
		for (const kind of ["control", "data"] as const) rig.hold(kind);
		for (const { socket, kind } of connections)
			for (const name of names) socket.write(frameBytes(kind === "control" ? FrameClass.CONTROL : FrameClass.FILE, 0, name.padEnd(10_000)));
		const left = leave(rig);
		expect([rig.link.isUp, rig.link.isLeaving, rig.send(FrameClass.CONTROL, "too late")]).toEqual([false, true, "down"]);
		rig.letGo("control");
		rig.letGo("data");
		await waitFor(() => left.count > 0, within("it has left"));
		for (const kind of ["control", "data"]) {
			const texts = rig.frames.filter(({ from }) => from === kind).map(({ text }) => text.trim());
			expect(texts).toEqual(names);
		}
		expect(rig.states).toEqual(["up", "down stopped"]);
		expect(left.count).toBe(1);
		expect(rig.link.counts).toMatchObject({ dials: 1, failures: 0, ends: { stopped: 1, lost: 0 }, undelivered: 0 });
		expect(rig.link.isLeaving).toBe(false);
		expect(rig.pool.inUse).toBe(0);
	});

	it("passes on or gives back each frame, but what it has begun to write reaches a backend that reads", async () => {
		const { rig, data } = await withFullSocket(100);
		const left = leave(rig);
		expect(rig.undelivered.length).toBeGreaterThan(0);
		expect(rig.link.outbox.isEmpty).toBe(true);
		data.socket.resume();
		await waitFor(() => left.count > 0, within("it has left"));
		await waitFor(() => data.isClosed, within("the end"));
		const files = data.frames.filter(({ frameClass }) => frameClass === FrameClass.FILE).length;
		expect(files + rig.undelivered.length).toBe(100);
		expect(rig.pool.inUse).toBe(0);
	});

	it("has written what it had begun to write when it is drained meanwhile", async () => {
		const { rig, data } = await withFullSocket(100);
		leave(rig);
		const refused = rig.undelivered.length;
		const drained = rig.link.drain(20_000);
		data.socket.resume();
		await drained;
		await waitFor(() => data.isClosed, within("the end"));
		const files = data.frames.filter(({ frameClass }) => frameClass === FrameClass.FILE).length;
		expect([files, rig.undelivered.length]).toEqual([100 - refused, refused]);
	});

	it("gives up a backend that does not end its side after the limit, and gives back what that has not read", async () => {
		backend.onConnection = ({ socket }) => {
			socket.allowHalfOpen = true;
		};
		const { rig } = await withFullSocket(200, { finishMs: 200 });
		const left = leave(rig);
		const before = rig.undelivered.length;
		await waitFor(() => left.count > 0, within("it has left"));
		expect(rig.undelivered.length).toBeGreaterThan(before);
		expect(rig.states).toEqual(["up", "down stopped"]);
		expect(rig.pool.inUse).toBe(0);
	});

	it("has more time while clients have no room, up to another limit", async () => {
		const rig = linkRig(backend.port, { finishMs: 100, finishMsMax: 1000 });
		await rig.up();
		const data = await backend.connection("data");
		rig.hold("data");
		data.socket.write(frameBytes(FrameClass.FILE, 0, "never read"));
		const began = performance.now();
		const left = leave(rig);
		await waitFor(() => left.count > 0, within("it has left"));
		expect(performance.now() - began).toBeGreaterThan(900);
	});

	it("that ends already because the backend has stopped is not dialled again", async () => {
		const rig = linkRig(backend.port);
		await rig.up();
		const [control, data] = [await backend.connection("control"), await backend.connection("data")];
		rig.hold("data");
		data.socket.write(frameBytes(FrameClass.FILE, 0, "the last"));
		control.socket.end();
		data.socket.end();
		await waitFor(() => !rig.link.isUp, within("the end of one"));
		const left = leave(rig);
		rig.letGo("data");
		await waitFor(() => left.count > 0, within("it has left"));
		expect(rig.frames.map(({ text }) => text)).toEqual(["the last"]);
		await new Promise((resolve) => setTimeout(resolve, 100));
		expect(rig.link.counts.dials).toBe(1);
	});

	it.each(["before it was started", "while it waits for the next attempt"])("has left at once %s", async (when) => {
		const rig = linkRig(backend.port, { reconnect: { firstMs: 60_000, mostMs: 60_000, jitter: 0 } });
		await backend.close();
		if (when !== "before it was started") {
			rig.link.start();
			await waitFor(() => rig.link.counts.failures > 0, within("an attempt"));
		}
		expect(leave(rig).count).toBe(1);
		expect(rig.states).toEqual([]);
	});

	it("can be stopped meanwhile, and then has left", async () => {
		const rig = linkRig(backend.port);
		await rig.up();
		rig.hold("data");
		(await backend.connection("data")).socket.write(frameBytes(FrameClass.FILE, 0, "never read"));
		const left = leave(rig);
		rig.link.stop();
		expect([left.count, rig.states.at(-1)]).toEqual([1, "down stopped"]);
	});
});

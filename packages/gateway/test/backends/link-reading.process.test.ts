import { waitFor } from "@shardcast/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import { FrameClass } from "../../src/frames/frame-descriptor.ts";
import { FrameDecision } from "../../src/frames/frame-reader.ts";
import { type FakeBackend, type FakeConnection, frameBytes } from "../support/fake-backend.ts";
import { leavesNothing } from "../support/leaves-nothing.ts";
import { linkRig, openBackend } from "../support/link-rig.ts";

leavesNothing();
let backend: FakeBackend;
beforeEach(async () => {
	backend = await openBackend();
});

const within = (what: string) => ({ what, deadlineMs: 20_000 });
const numbered = (from: number, count: number, size = 0) =>
	Buffer.concat(Array.from({ length: count }, (_, index) => frameBytes(FrameClass.CONTROL, 0, `${from + index} ${"x".repeat(size)}`)));
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);

describe("reading from a backend", () => {
	it("handles at most 64 frames of a connection in a turn of the event loop, and loses none", async () => {
		let turn = 0;
		const perTurn = new Map<string, number>();
		const got: number[] = [];
		const rig = linkRig(backend.port, {
			listener: {
				onFrame: (_, frame, from) => {
					perTurn.set(`${from} ${turn}`, (perTurn.get(`${from} ${turn}`) ?? 0) + 1);
					if (from === "control") got.push(Number(frame.bytes.toString("latin1", 17, frame.end)));
				},
			},
		});
		await rig.up();
		const [control, data] = [await backend.connection("control"), await backend.connection("data")];
		let isCounting = true;
		// Counts turns: an immediate runs once in each.
		const count = (): void => {
			turn++;
			if (isCounting) setImmediate(count);
		};
		count();
		control.socket.write(numbered(0, 5000));
		data.socket.write(numbered(0, 5000));
		await waitFor(() => rig.link.counts.receivedFrames === 10_000, within("all frames"));
		isCounting = false;
		expect(got).toEqual(numbers(5000));
		// An immediate of the link may run before or after the one that counts.
		expect(Math.max(...perTurn.values())).toBeLessThanOrEqual(128);
		expect(rig.link.counts.readingStopped.turn).toBeGreaterThanOrEqual(Math.floor(10_000 / 64) - 2);
		await waitFor(() => !isCounting, within("the last turn"));
	});

	it("stops reading a connection whose frames find no room, so that the backend's socket fills up, and not the other one", async () => {
		const rig = linkRig(backend.port);
		await rig.up();
		const [control, data] = [await backend.connection("control"), await backend.connection("data")];
		rig.hold("data");
		const frame = frameBytes(FrameClass.FILE, 0, Buffer.alloc(100_000));
		for (let count = 0; count < 120; count++) data.socket.write(frame);
		control.socket.write(frameBytes(FrameClass.CONTROL, 0, "control"));
		await waitFor(() => rig.frames.length === 1, within("the control frame"));
		expect(rig.frames[0]!.text).toBe("control");
		expect(data.socket.writableLength).toBeGreaterThan(1_000_000);
		expect(rig.link.counts.receivedBytes).toBeLessThan(100_000);
		rig.letGo("data");
		await waitFor(() => rig.frames.length === 121, within("all frames"));
		expect(rig.pool.inUse).toBe(0);
	});

	// The place where it went on was that of an earlier piece, which was gone.
	it("goes on after a frame that waited with nothing behind it, also if there was something behind an earlier one", async () => {
		const rig = linkRig(backend.port, {
			listener: {
				onFrame: (_, frame, from) => {
					rig.frames.push({ ...frame, clientId: 0, backendId: 0, text: frame.bytes.toString("latin1", 17, frame.end), from });
					rig.hold(from);
				},
			},
		});
		await rig.up();
		const data = await backend.connection("data");
		data.socket.write(numbered(0, 3, 100));
		for (let frames = 1; frames <= 3; frames++) {
			await waitFor(() => rig.frames.length === frames, within(`frame ${frames}`));
			if (frames < 3) rig.letGo("data");
		}
		for (let frames = 4; frames <= 9; frames++) {
			const { paused } = rig.link.counts.readingStopped;
			// Without a body, its header is all that there is.
			data.socket.write(frameBytes(FrameClass.CONTROL, 0, frames % 2 === 0 ? "" : "body"));
			await waitFor(() => rig.link.counts.readingStopped.paused > paused, within(`frame ${frames} waits`));
			rig.letGo("data");
			await waitFor(() => rig.frames.length === frames, within(`frame ${frames}`));
		}
		expect(rig.link.isUp).toBe(true);
	});

	it("does not read a connection without room when the link was connected again, until there is some", async () => {
		const rig = linkRig(backend.port);
		await rig.up();
		rig.hold("data");
		(await backend.connection("control")).socket.destroy();
		await waitFor(() => rig.link.counts.ups === 2 && backend.open.length === 2, within("the link is up again"));
		(await backend.connection("data")).socket.write(numbered(0, 1));
		(await backend.connection("control")).socket.write(numbered(1, 1));
		await waitFor(() => rig.frames.length === 1, within("the control frame"));
		expect(rig.frames[0]!.from).toBe("control");
		await waitFor(() => rig.link.counts.readingStopped.paused === 1, within("the data frame waits"));
		rig.letGo("data");
		await waitFor(() => rig.frames.length === 2, within("the data frame"));
	});

	it("asks again about a frame that has to wait, before all later ones of its connection", async () => {
		let room = 3;
		const asked: number[] = [];
		const rig = linkRig(backend.port, {
			listener: {
				begin: (_, _class, length, _client, from) => {
					if (from === "control") return FrameDecision.take;
					asked.push(length);
					return room-- > 0 ? FrameDecision.take : FrameDecision.wait;
				},
			},
		});
		await rig.up();
		const [control, data] = [await backend.connection("control"), await backend.connection("data")];
		data.socket.write(Buffer.concat(numbers(10).map((index) => frameBytes(FrameClass.FILE, 0, "x".repeat(index)))));
		await waitFor(() => rig.link.counts.readingStopped.paused === 1, within("it waits"));
		expect(rig.frames.map(({ text }) => text.length)).toEqual([0, 1, 2]);
		control.socket.write(frameBytes(FrameClass.CONTROL, 0, "control"));
		await waitFor(() => rig.frames.length === 4, within("the other connection goes on"));
		// Resumed without room: it only asks.
		rig.link.resume("data");
		await waitFor(() => asked.length === 5, within("it asks"));
		expect(asked).toEqual([1, 2, 3, 4, 4]);
		for (let frames = 5; frames < 12; frames++) {
			room = 1;
			rig.link.resume("data");
			await waitFor(() => rig.frames.length === Math.min(frames, 11), within(`frame ${frames}`));
		}
		expect(rig.frames.filter(({ from }) => from === "data").map(({ text }) => text.length)).toEqual(numbers(10));
		expect(rig.pool.inUse).toBe(0);
	});

	it("can be held, let go and stopped from within the callback of a frame", async () => {
		const got: string[] = [];
		const rig = linkRig(backend.port, {
			listener: {
				onFrame: (_, frame, from) => {
					const { link } = rig;
					const text = frame.bytes.toString("latin1", 17, frame.end).trim();
					got.push(text);
					if (text === "1") {
						rig.hold(from);
						setTimeout(() => rig.letGo(from), 20);
					}
					if (text === "2") {
						rig.hold(from);
						rig.letGo(from);
					}
					if (text === "5") link.stop();
				},
			},
		});
		await rig.up();
		const data: FakeConnection = await backend.connection("data");
		data.socket.write(numbered(0, 10));
		await waitFor(() => data.isClosed, within("the end"));
		expect(got).toEqual(["0", "1", "2", "3", "4", "5"]);
		expect(rig.states).toEqual(["up", "down stopped"]);
		expect(rig.pool.inUse).toBe(0);
	});

	it("reads and writes no faster than the bandwidth, once a second's worth has passed", async () => {
		const rig = linkRig(backend.port, { bandwidth: 400_000 });
		await rig.up();
		const data = await backend.connection("data");
		const began = performance.now();
		data.socket.write(numbered(0, 60, 10_000));
		for (let count = 0; count < 60; count++) rig.send(FrameClass.FILE, Buffer.alloc(10_000));
		await waitFor(() => rig.frames.length === 60 && data.frames.length === 61, within("all frames"));
		expect(performance.now() - began).toBeGreaterThan(450);
		expect(rig.link.counts.readingStopped.bandwidth).toBeGreaterThan(0);
	});

	it("gives each connection its bandwidth: the data connection does not use up that of the control connection", async () => {
		const rig = linkRig(backend.port, { bandwidth: 1000 });
		await rig.up();
		const [control, data] = [await backend.connection("control"), await backend.connection("data")];
		// Enough for minutes.
		data.socket.write(numbered(0, 30, 10_000));
		for (let count = 0; count < 30; count++) rig.send(FrameClass.FILE, Buffer.alloc(10_000));
		await waitFor(() => rig.frames.length > 0 && data.frames.length > 1, within("the start"));
		control.socket.write(frameBytes(FrameClass.CONTROL, 0, "control"));
		rig.send(FrameClass.CONTROL, "control");
		await waitFor(
			() => control.story.at(-1) === "control" && rig.frames.some(({ text }) => text === "control"),
			within("the control frames"),
		);
		expect(rig.frames.length).toBeLessThan(30);
		expect(data.frames.length).toBeLessThan(30);
	});
});

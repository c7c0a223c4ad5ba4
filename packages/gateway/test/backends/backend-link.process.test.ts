import { setImmediate as nextTurn } from "node:timers/promises";
import { waitFor } from "@shardcast/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import { SharedBuffers } from "../../src/backends/backend-connection.ts";
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

describe("the link to a backend", () => {
	it("opens two connections, which begin with who they are, and tells the clients on the control connection", async () => {
		const clients = Array.from({ length: 2001 }, (_, index) => index + 1);
		const rig = linkRig(backend.port, { clients });
		await rig.up();
		const [control, data] = [await backend.connection("control"), await backend.connection("data")];
		await waitFor(() => control.messages.length === 4, within("all clients"));
		const hello = { type: "hello", version: 1, backend: 3, gateway: "0123456789abcdef" };
		expect(data.messages).toEqual([{ ...hello, link: "data" }]);
		expect(control.messages[0]).toEqual({ ...hello, link: "control" });
		expect(control.messages.slice(1).map(({ clients }) => (clients as number[]).length)).toEqual([1000, 1000, 1]);
		expect(control.messages.flatMap(({ clients = [] }) => clients as number[])).toEqual(clients);
		expect(control.frames.every(({ clientId, backendId }) => clientId === 0 && backendId === 3)).toBe(true);
		expect(rig.states).toEqual(["up"]);
		expect(rig.link.counts).toMatchObject({ dials: 1, ups: 1, failures: 0 });
	});

	it("sends urgent frames on the control connection and the others on the data connection, each in order", async () => {
		const rig = linkRig(backend.port);
		await rig.up();
		for (let count = 0; count < 20; count++) {
			rig.send(FrameClass.CONTROL, `control ${count}`);
			rig.send(FrameClass.FILE, `file ${count}`);
			rig.send(FrameClass.ACK, `ack ${count}`);
		}
		const [control, data] = [await backend.connection("control"), await backend.connection("data")];
		await waitFor(() => control.frames.length === 42 && data.frames.length === 21, within("all frames"));
		const numbers = Array.from({ length: 20 }, (_, count) => count);
		expect(control.story.slice(2)).toEqual(numbers.flatMap((count) => [`control ${count}`, `ack ${count}`]));
		expect(data.story.slice(1)).toEqual(numbers.map((count) => `file ${count}`));
		expect(control.frames.slice(2).every(({ clientId, backendId }) => clientId === 7 && backendId === 3)).toBe(true);
		expect(rig.link.counts.sentFrames).toBe(63);
		expect(rig.link.counts.sentBytes).toBe(control.socket.bytesRead + data.socket.bytesRead);
		expect(rig.pool.inUse).toBe(0);
	});

	it("tells that a client came or left in order with the frames of the control connection", async () => {
		const rig = linkRig(backend.port);
		await rig.up();
		rig.send(FrameClass.CONTROL, "one");
		rig.link.clientJoined(8);
		rig.send(FrameClass.CONTROL, "two", 8);
		rig.link.clientLeft(8);
		rig.send(FrameClass.CONTROL, "three");
		const control = await backend.connection("control");
		await waitFor(() => control.frames.length === 7, within("all frames"));
		expect(control.story).toEqual(["hello", "clients", "one", "client_joined", "two", "client_left", "three"]);
		expect(control.messages[2]).toEqual({ type: "client_joined", client: 8 });
	});

	it("writes CONTROL frames at once, up to eight in a turn of the event loop, with what waits before them, and the others at its end", async () => {
		const rig = linkRig(backend.port);
		await rig.up();
		const control = await backend.connection("control");
		await waitFor(() => control.frames.length === 2, within("the start"));
		for (let turn = 0; turn < 3; turn++) {
			await nextTurn();
			const before = rig.link.counts.writes;
			rig.send(FrameClass.ACK, `before ${turn}`);
			expect(rig.link.counts.writes - before).toBe(0);
			for (let index = 0; index < 11; index++) {
				rig.send(FrameClass.CONTROL, `control ${turn} ${index}`);
				expect(rig.link.counts.writes - before).toBe(Math.min(index + 1, 8));
				// The kernel has it.
				await new Promise<void>((resolve) => process.nextTick(resolve));
			}
			await waitFor(() => control.frames.length === 2 + 12 * (turn + 1), within("all frames"));
			expect(rig.link.counts.writes - before).toBe(9);
		}
		expect(control.frames.slice(2, 14).map(({ content }) => content.toString())).toEqual([
			"before 0",
			...Array.from({ length: 11 }, (_, index) => `control 0 ${index}`),
		]);
	});

	it("writes CONTROL of all links at once only so often in a turn", async () => {
		const buffers = new SharedBuffers();
		const other = await openBackend();
		const rigs = [linkRig(backend.port, { buffers }), linkRig(other.port, { buffers })];
		await Promise.all(rigs.map((rig) => rig.up()));
		await nextTurn();
		const before = rigs.map(({ link }) => link.counts.writes);
		for (let index = 0; index < 6; index++) {
			for (const rig of rigs) rig.send(FrameClass.CONTROL, `control ${index}`);
			await new Promise<void>((resolve) => process.nextTick(resolve));
		}
		expect(rigs.map(({ link }, index) => link.counts.writes - before[index]!)).toEqual([4, 4]);
	});

	it("writes once per turn of the event loop, or when half of the queue is full", async () => {
		const rig = linkRig(backend.port);
		await rig.up();
		const control = await backend.connection("control");
		await waitFor(() => control.frames.length === 2, within("the start"));
		const before = rig.link.counts.writes;
		const send = async (count: number, all: number): Promise<number> => {
			for (let index = 0; index < count; index++) rig.send(FrameClass.ACK, `ack ${index}`);
			await waitFor(() => control.frames.length === all, within("all frames"));
			return rig.link.counts.writes - before;
		};
		expect(await send(31, 33)).toBe(1);
		expect(await send(64, 97)).toBe(3);
	});

	it("sends frames of all sizes unchanged, mixed", async () => {
		const rig = linkRig(backend.port);
		await rig.up();
		const sizes = [
			1, 8178, 8179, 8180, 8181, 65_536, 2, 300_000, 1_000_000, 3, 8000, 8000, 8000, 8000, 8000, 8000, 8000, 8000, 8000, 5_000_000, 4,
		];
		for (const [index, size] of sizes.entries()) expect(rig.send(FrameClass.FILE, Buffer.alloc(size, index + 1))).toBe("queued");
		const data = await backend.connection("data");
		await waitFor(() => data.frames.length === sizes.length + 1, within("all frames"));
		for (const [index, size] of sizes.entries()) {
			const { content } = data.frames[index + 1]!;
			if (content.length !== size || !content.every((each) => each === index + 1))
				expect.fail(`frame ${index} is not the one that was sent`);
		}
		expect(data.frames.slice(1).every(({ clientId, backendId }) => clientId === 7 && backendId === 3)).toBe(true);
		expect(rig.pool.inUse).toBe(0);
	});

	it("takes frames of any class from either connection, whole, however TCP splits them, with the backend's id", async () => {
		const rig = linkRig(backend.port);
		await rig.up();
		const [control, data] = [await backend.connection("control"), await backend.connection("data")];
		const sent = ["one", "", "three"].map((text, index) => frameBytes([1, 2, 4][index]!, index, text));
		for (const byte of Buffer.concat(sent)) {
			control.socket.write(Uint8Array.of(byte));
			await new Promise(setImmediate);
		}
		data.socket.write(frameBytes(FrameClass.ACK, 9, "x".repeat(200_000)));
		control.socket.write(frameBytes(FrameClass.LINK, 0, '{"type":"pong"}'));
		control.socket.write(frameBytes(FrameClass.LINK, 0, "no JSON"));
		control.socket.write(frameBytes(5, 0, "a class that there is not"));
		control.socket.write(frameBytes(FrameClass.CONTROL, 0, "last"));
		await waitFor(() => rig.frames.length === 5, within("all frames"));
		const fromControl = rig.frames.filter(({ from }) => from === "control");
		expect(fromControl.map(({ frameClass, clientId, backendId, text }) => [frameClass, clientId, backendId, text])).toEqual([
			[1, 0, 3, "one"],
			[2, 1, 3, ""],
			[4, 2, 3, "three"],
			[1, 0, 3, "last"],
		]);
		expect(rig.frames.find(({ from }) => from === "data")?.text).toHaveLength(200_000);
		expect(rig.link.counts).toMatchObject({ receivedFrames: 5, reader: { unknownClass: 1 } });
		expect(rig.link.counts.receivedBytes).toBe(control.socket.bytesWritten + data.socket.bytesWritten);
		expect(rig.pool.inUse).toBe(0);
		expect(rig.states).toEqual(["up"]);
	});
});

import { afterEach, describe, expect, it } from "vitest";
import { ConnectionReader } from "../../src/backends/connection-reader.ts";
import { LinkCounts } from "../../src/backends/link-counts.ts";
import { BufferPool } from "../../src/buffers/buffer-pool.ts";
import { Bandwidth } from "../../src/flow/bandwidth.ts";
import { FrameDecision, FrameReader } from "../../src/frames/frame-reader.ts";
import { frameBytes } from "../support/fake-backend.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));
const readers: ConnectionReader[] = [];
afterEach(() => {
	for (const reader of readers.splice(0)) reader.stop();
});

describe("a reader of a connection", () => {
	it("whose turn ends with the last byte that was read has nothing left, whatever was left before", async () => {
		const frames: number[] = [];
		let resumed = 0;
		const reader = new ConnectionReader(
			{
				reader: new FrameReader(new BufferPool()),
				counts: new LinkCounts(),
				rate: new Bandwidth(0, 0),
				nowMs: () => 0,
				framesPerTurn: 2,
				begin: () => FrameDecision.take,
				onFrame: (frame) => void frames.push(frame.clientId),
				onFailed: (problem) => expect.fail(problem),
				resume: () => void resumed++,
			},
			false,
		);
		readers.push(reader);
		const three = Buffer.concat([1, 2, 3].map((client) => frameBytes(1, client, "x")));
		expect(reader.read(three, three.length)).toBe(false);
		while (resumed < 1) await turn();
		// So that the next read begins a turn.
		await turn();
		const two = Buffer.concat([4, 5].map((client) => frameBytes(1, client, "x")));
		expect(reader.read(two, two.length)).toBe(false);
		while (resumed < 2) await turn();
		expect(frames).toEqual([1, 2, 3, 4, 5]);
	});
});

import { describe, expect, it } from "vitest";
import { BufferPool } from "../src/buffers/buffer-pool.ts";
import type { Frame } from "../src/buffers/frame.ts";
import { Bandwidth } from "../src/flow/bandwidth.ts";
import { FrameClass, FrameLayout } from "../src/frames/frame-descriptor.ts";
import { FrameDecision, FrameReader, type FrameSink } from "../src/frames/frame-reader.ts";
import { BackendQueue } from "../src/lanes/backend-queue.ts";
import { ClientLanes } from "../src/lanes/client-lanes.ts";
import { HeldBudget } from "../src/lanes/held-frames.ts";
import { allocatedBytes } from "./support/allocated-bytes.ts";
import { wireOf } from "./support/frames.ts";

const clients = 16;
const pieceBytes = 64 * 1024;
/** Node 20 makes a view for each copy of a part of a buffer. */
const bytesPerFrameMax = Number.parseInt(process.versions.node, 10) < 22 ? 1000 : 1;

/** All parts of the data path in both directions, with what sockets would do replaced by a copy. */
class Path implements FrameSink {
	readonly pool = new BufferPool();
	readonly reader = new FrameReader(this.pool);
	readonly lanes = Array.from({ length: clients }, () => new ClientLanes({ window: 1 }));
	readonly bandwidth = new Bandwidth(2e9, 0);
	readonly queue = new BackendQueue();
	readonly budget = new HeldBudget();
	readonly out = Buffer.alloc(2 * pieceBytes);
	outBytes = 0;
	turnMs = 0.5;

	begin(_frameClass: FrameClass, _length: number, clientId: number): FrameDecision {
		return clientId < 2 ** 32 - clients ? FrameDecision.take : FrameDecision.skip;
	}

	end(frame: Frame): boolean {
		const { clientId } = frame;
		if (clientId === FrameLayout.everyone) for (const lanes of this.lanes) lanes.offer(frame);
		else this.lanes[clientId % clients]!.offer(frame);
		this.queue.offer(frame, this.budget);
		frame.receivedMs = this.turnMs;
		return true;
	}

	/** What the sockets would take. */
	drain(): void {
		// Once per turn: each reading of the clock is an object.
		const nowMs = performance.now();
		this.turnMs = nowMs;
		for (const lanes of this.lanes) {
			for (let frame = lanes.peek(); frame !== null && this.bandwidth.take(frame.length, nowMs); frame = lanes.peek()) {
				lanes.next(nowMs);
				this.outBytes += frame.message().length;
				if (frame.frameClass === FrameClass.VIDEO) lanes.acknowledge(frame.backendId, nowMs);
				frame.release();
			}
		}
		let at = 0;
		for (let frame = this.queue.nextControl() ?? this.queue.nextData(); frame !== null; ) {
			if (at + frame.wireBytes > this.out.length) at = 0;
			at = frame.copyWire(this.out, at);
			frame.release();
			frame = this.queue.nextControl() ?? this.queue.nextData();
		}
	}
}

/** Frames of all classes in a few hundred lengths, for single clients and for all. */
function source(): Buffer {
	const frames: Buffer[] = [];
	let bytes = 0;
	for (let n = 0; ; n++) {
		const frameClass = [FrameClass.CONTROL, FrameClass.VIDEO, FrameClass.ACK, FrameClass.FILE, 9][n % 5]!;
		const client = n % 50 === 0 ? 0 : n % 3 === 0 ? 2 ** 30 + n : n + 1;
		const wire = wireOf({ frameClass, client, backend: 1 + (n % 4), bytes: n % 97 === 0 ? 3000 : 5 + (n % 300), n });
		if (bytes + wire.length > 8 * pieceBytes) break;
		frames.push(wire);
		bytes += wire.length;
	}
	return Buffer.concat(frames);
}

describe("allocation", () => {
	it("passes a million frames through reader, pool and lanes, and allocates less than a byte per frame", {
		tags: ["long"],
		timeout: 120_000,
	}, async () => {
		const path = new Path();
		const bytes = source();
		const pass = (frames: number): void => {
			const { counters } = path.reader;
			const until = counters.frames + frames;
			while (counters.frames < until) {
				for (let at = 0; at < bytes.length; at += pieceBytes) {
					path.reader.push(bytes, at, Math.min(at + pieceBytes, bytes.length), path);
					path.drain();
				}
			}
		};
		// The compiler has to be through, and each buffer has to have seen the lengths.
		pass(300_000);
		const madeBefore = path.pool.views.made;
		const { bytes: allocated, where } = await allocatedBytes(() => pass(1_000_000));
		expect(path.pool.inUse).toBe(0);
		expect(path.outBytes).toBeGreaterThan(1e8);
		expect(path.reader.counters.unknownClass).toBeGreaterThan(100_000);
		expect(path.pool.views.made - madeBefore).toBeLessThan(1000);
		expect(allocated / 1e6, where).toBeLessThan(bytesPerFrameMax);
	});
});

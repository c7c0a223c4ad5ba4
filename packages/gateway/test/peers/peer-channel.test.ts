import { waitFor } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import { LinkCounts } from "../../src/backends/link-counts.ts";
import { linkDefaults } from "../../src/backends/link-options.ts";
import { LinkOutbox } from "../../src/backends/link-outbox.ts";
import { BufferPool } from "../../src/buffers/buffer-pool.ts";
import { FrameClass } from "../../src/frames/frame-descriptor.ts";
import { FrameDecision } from "../../src/frames/frame-reader.ts";
import { HeldBudget } from "../../src/lanes/held-frames.ts";
import { PeerChannel } from "../../src/peers/peer-channel.ts";
import { allocatedBytes } from "../support/allocated-bytes.ts";
import { frameOf, numberOf } from "../support/frames.ts";
import { leavesNothing } from "../support/leaves-nothing.ts";
import { StreamsRig } from "../support/streams-rig.ts";

leavesNothing();
const within = (what: string) => ({ what, deadlineMs: 60_000 });

/** Node 20 makes a view for each copy of a part of a buffer. */
const bytesPerFrameMax = Number.parseInt(process.versions.node, 10) < 22 ? 1000 : 50;

/** One end of a channel, which takes all frames. */
class End {
	readonly outbox = new LinkOutbox(linkDefaults);
	readonly counts = new LinkCounts();
	readonly channel: PeerChannel;
	frames = 0;
	/** The first frame that was not the next one. */
	wrongAt = -1;

	constructor(pool: BufferPool) {
		this.channel = new PeerChannel({
			...{ pool, outbox: this.outbox, counts: this.counts, nowMs: () => performance.now(), framesPerTurn: 64 },
			frameBytesMax: linkDefaults.frameBytesMax,
			older: { olderVideo: () => null },
			shares: pool.linkShares(),
			begin: () => FrameDecision.take,
			onFrame: (frame) => {
				if (this.frames < 1000 && numberOf(frame) !== this.frames && this.wrongAt < 0) this.wrongAt = this.frames;
				this.frames++;
			},
			onMessage: () => {},
			onWritten: () => {},
			onDeaf: () => {},
			onEnd: () => {},
		});
	}
}

describe("a channel between two processes", () => {
	it("passes frames on without an object for each", { tags: ["long"], timeout: 120_000 }, async () => {
		const rig = new StreamsRig(2, 2 ** 20);
		await rig.meet();
		const pool = new BufferPool();
		const [near, far] = [new End(pool), new End(pool)];
		rig.member(1).onOpen = () => far.channel;
		near.channel.attach(rig.member(0).streams.openChannel(1, 1, near.channel.ends)!);
		const budget = new HeldBudget();
		const frames = Array.from({ length: 1000 }, (_, n) =>
			frameOf(pool, { frameClass: FrameClass.CONTROL, client: n + 1, backend: 1, bytes: 100, n }),
		);
		let sent = 0;
		const pass = async (count: number): Promise<void> => {
			const until = sent + count;
			while (sent < until) {
				for (let index = 0; index < 50 && near.outbox.queue.controlCount < 64; index++) near.outbox.offer(frames[sent++ % 1000]!, budget);
				near.channel.wake("control");
				await new Promise((resolve) => setImmediate(resolve));
			}
			await waitFor(() => far.frames === sent, within("all frames"));
		};
		await pass(100_000);
		const { bytes, where } = await allocatedBytes(() => pass(200_000));
		expect(far.wrongAt).toBe(-1);
		for (const frame of frames) frame.release();
		expect(pool.inUse).toBe(0);
		// What the loop makes, for each of its turns, and not for each frame.
		expect(bytes / 200_000, where).toBeLessThan(bytesPerFrameMax);
	});
});

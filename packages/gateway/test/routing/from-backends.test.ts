import { describe, expect, it } from "vitest";
import { linkDefaults } from "../../src/backends/link-options.ts";
import { LinkOutbox } from "../../src/backends/link-outbox.ts";
import { BufferPool } from "../../src/buffers/buffer-pool.ts";
import type { BufferShare } from "../../src/buffers/buffer-share.ts";
import { FrameClass, FrameLayout } from "../../src/frames/frame-descriptor.ts";
import { FrameDecision, FrameReader } from "../../src/frames/frame-reader.ts";
import { ClientLaneCounters, ClientLanes } from "../../src/lanes/client-lanes.ts";
import { HeldBudget } from "../../src/lanes/held-frames.ts";
import { GatewayCounts } from "../../src/monitor/gateway-counts.ts";
import { FromBackends } from "../../src/routing/from-backends.ts";
import type { Link } from "../../src/routing/link.ts";
import { frameOf, numberOf, wireOf } from "../support/frames.ts";

const { VIDEO } = FrameClass;
const clients = 40;

/** A connection that a backend sends frames on, to clients that take one and then wait. */
function rigOf() {
	const pool = new BufferPool({ tiers: [{ bytes: 64, buffersMax: 30 }] });
	const share: BufferShare = pool.connectionShare();
	const counters = new ClientLaneCounters();
	const lanes = Array.from({ length: clients }, () => new ClientLanes({ window: 1 }, counters));
	const fromBackends = new FromBackends({
		clients: { get: (id: number) => ({ queues: { lanes: lanes[id - 1] } }), all: [] } as never,
		...{ counts: new GatewayCounts(), slot: 0, peers: null },
	});
	const link = { id: 3, isOwn: true } as Link;
	const reader = new FrameReader(pool, 64, undefined, share, {
		olderVideo: (client) => fromBackends.olderVideo(link, client),
	});
	return {
		...{ pool, lanes, reader, counters },
		send(frameClass: FrameClass, client: number, n: number, bytes = 20): void {
			const wire = wireOf({ frameClass, client, backend: 3, bytes, n });
			reader.push(wire, 0, wire.length, {
				begin: () => FrameDecision.take,
				end: (frame) => {
					for (const each of client === FrameLayout.everyone ? lanes : [lanes[client - 1]!]) each.offer(frame);
					return true;
				},
			});
		},
		take(client: number): number[] {
			const numbers: number[] = [];
			for (let frame = lanes[client - 1]!.next(0); frame !== null; frame = lanes[client - 1]!.next(0)) {
				numbers.push(numberOf(frame));
				frame.release();
			}
			return numbers;
		},
	};
}

describe("VIDEO of a backend, when its share of the buffers is used up by clients that do not acknowledge", () => {
	it("takes the buffer of what waits for the same client, which gets the newest", () => {
		const { send, take, lanes, reader, pool, counters } = rigOf();
		const waiting: number[] = [];
		for (let client = 1; client <= clients; client++) {
			send(VIDEO, client, 0);
			take(client);
			send(VIDEO, client, 1);
			if (reader.counters.droppedWithoutBuffer === 0) waiting.push(client);
		}
		expect(waiting.length).toBeGreaterThan(5);
		expect(waiting.length).toBeLessThan(clients);
		const dropped = reader.counters.droppedWithoutBuffer;
		for (let n = 2; n < 10; n++) for (const client of waiting) send(VIDEO, client, n, 20 + n);
		expect(reader.counters.droppedWithoutBuffer).toBe(dropped);
		for (const client of waiting) {
			lanes[client - 1]!.acknowledge(3, 0);
			expect(take(client)).toEqual([9]);
		}
		expect(counters.low.dropped).toBe(8 * waiting.length);
		expect(counters.low.offered).toBe(counters.low.delivered + counters.low.dropped + counters.low.waiting);
		expect(pool.inUse).toBe(counters.low.waiting);
	});

	it("looks at the queue towards the process of a client, and nowhere for what is for all", () => {
		const { send, pool } = rigOf();
		send(VIDEO, 1, 0);
		const outbox = new LinkOutbox(linkDefaults);
		const client = 2 ** 26 + 9;
		for (const [n, to] of [client, client + 1, client].entries()) {
			const frame = frameOf(pool, { frameClass: VIDEO, client: to, backend: 3, bytes: 20, n });
			outbox.offer(frame, new HeldBudget());
			frame.release();
		}
		const asked: number[][] = [];
		const peers = { ofClient: (...of: number[]) => asked.push(of) > 0 && { outbox } };
		const fromBackends = new FromBackends({
			...{ clients: { get: () => undefined, all: [] }, counts: new GatewayCounts(), slot: 0, peers: peers as never },
		});
		const [own, remote] = [{ id: 3, isOwn: true } as Link, { id: 3, isOwn: false } as Link];
		const given = [own, own].map((link) => fromBackends.olderVideo(link, client)!);
		expect(given.map(numberOf)).toEqual([0, 2]);
		expect([fromBackends.olderVideo(remote, client), fromBackends.olderVideo(own, FrameLayout.everyone)]).toEqual([null, null]);
		expect(asked).toEqual([
			[3, client],
			[3, client],
		]);
		for (const frame of given) frame.release();
	});
});

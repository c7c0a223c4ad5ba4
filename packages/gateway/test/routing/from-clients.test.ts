import { describe, expect, it } from "vitest";
import { linkDefaults } from "../../src/backends/link-options.ts";
import { LinkOutbox } from "../../src/backends/link-outbox.ts";
import { BufferPool } from "../../src/buffers/buffer-pool.ts";
import type { Frame } from "../../src/buffers/frame.ts";
import type { GatewayClient } from "../../src/clients/gateway-client.ts";
import { encodeFrameHeader } from "../../src/frames/frame-codec.ts";
import { FrameClass } from "../../src/frames/frame-descriptor.ts";
import { HeldBudget } from "../../src/lanes/held-frames.ts";
import { GatewayCounts } from "../../src/monitor/gateway-counts.ts";
import { FromClients } from "../../src/routing/from-clients.ts";
import type { Link } from "../../src/routing/link.ts";
import { numberOf, payloadOf } from "../support/frames.ts";

const { CONTROL, VIDEO, FILE } = FrameClass;
const mebibyte = 2 ** 20;
const everyone = 0;

/** Clients and links; nothing is written to a backend but by `drain`. */
function rigOf(links: number, memoryBytesMax = 32 * mebibyte) {
	const pool = new BufferPool({ memoryBytesMax });
	const counts = new GatewayCounts();
	const closed: string[] = [];
	const outboxes = Array.from({ length: links }, () => new LinkOutbox(linkDefaults));
	const all = outboxes.map((outbox, index) => ({
		link: {
			...{ id: index + 1, isUp: true, outbox, outShares: pool.linkShares() },
			send: (frame: Frame, budget: HeldBudget) => outbox.offer(frame, budget),
		} as unknown as Link,
	}));
	const fromClients = new FromClients({
		...{ pool, counts, payloadBytesMax: 8 * mebibyte },
		clients: { get: () => undefined },
		backends: { get: (id: number) => all[id - 1], all } as never,
		refuse: () => {},
		close: (_client, cause) => closed.push(cause),
		acknowledged: () => {},
	});
	const clientOf = (id: number) =>
		({
			...{ id, isGone: false },
			queues: { share: pool.clientShare(), budget: new HeldBudget(), intake: { admit: () => "now" } },
		}) as unknown as GatewayClient;
	return {
		...{ pool, counts, closed, outboxes, clientOf },
		send(client: GatewayClient, frameClass: FrameClass, n: number, bytes: number, backend = 1): void {
			const message = Buffer.alloc(8 + bytes);
			const header = Buffer.alloc(12);
			encodeFrameHeader(header, 0, bytes, 0, backend);
			header.copy(message, 0, 4);
			payloadOf({ frameClass, n, bytes }).subarray(0, 5).copy(message, 8);
			fromClients.take(client, message);
		},
		/** Takes out all that waits. @returns the numbers, by client. */
		drain(link = 1): Map<number, number[]> {
			const numbers = new Map<number, number[]>();
			for (;;) {
				const frame = outboxes[link - 1]!.next("data") as Frame | null;
				if (frame === null) return numbers;
				numbers.set(frame.clientId, [...(numbers.get(frame.clientId) ?? []), numberOf(frame)]);
				frame.release();
			}
		},
	};
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);

describe("VIDEO of clients to a backend that does not read, when the memory is used up", () => {
	it.each([
		["of 200 KB", 200_000, 200_000],
		["of 900 KB", 900_000, 900_000],
		["of which the newest is larger than two others have", 200_000, 1_000_000],
		["of which the newest is the smallest", 900_000, 100],
	])("keeps the newest %s, in order, and counts all others", (_, bytes, lastBytes) => {
		const { send, clientOf, drain, counts, outboxes, pool } = rigOf(1);
		const client = clientOf(7);
		for (let n = 0; n < 300; n++) send(client, VIDEO, n, bytes);
		send(client, VIDEO, 300, lastBytes);
		expect(pool.replaced).toBeGreaterThan(0);
		expect(pool.reservedBytes).toBeLessThanOrEqual(pool.memoryBytesMax);
		const got = drain().get(7)!;
		expect(got).toEqual(range(301 - got.length, 301));
		expect(outboxes[0]!.queue.counters.data.dropped).toBe(301 - got.length);
		expect(counts.dropped.no_buffer).toBe(0);
		expect(pool.inUse).toBe(0);
	});

	it("to all backends: keeps the newest for each of those that do not read, and all for one that does", () => {
		const { send, clientOf, drain, counts, outboxes, pool } = rigOf(3);
		const client = clientOf(7);
		const read: number[] = [];
		for (let n = 0; n < 300; n++) {
			send(client, VIDEO, n, 200_000, everyone);
			read.push(...drain(2).get(7)!);
		}
		expect(read).toEqual(range(0, 300));
		for (const link of [1, 3]) {
			const got = drain(link).get(7)!;
			expect(got).toEqual(range(300 - got.length, 300));
			expect(outboxes[link - 1]!.queue.counters.data.dropped).toBe(300 - got.length);
		}
		expect([counts.dropped.no_buffer, pool.inUse]).toEqual([0, 0]);
	});

	it("drops no CONTROL and no FILE for it", () => {
		const { send, clientOf, drain, outboxes, closed } = rigOf(1);
		const client = clientOf(7);
		for (let n = 0; n < 20; n++) send(client, FILE, n, 200_000);
		send(client, CONTROL, 20, 100);
		for (let n = 21; n < 321; n++) send(client, VIDEO, n, 200_000);
		const got = drain().get(7)!;
		expect(got.slice(0, 20)).toEqual(range(0, 20));
		expect(got.at(-1)).toBe(320);
		expect(outboxes[0]!.queue.controlCount).toBe(1);
		expect(closed).toEqual([]);
	});

	it("takes the buffer of the oldest of another client if the client has none that waits", () => {
		const { send, clientOf, drain, pool } = rigOf(1);
		const clients = range(1, 80).map(clientOf);
		for (const client of clients) send(client, VIDEO, client.id, 250_000);
		expect(pool.replaced).toBeGreaterThan(0);
		const waiting = [...drain().keys()];
		// One for each of the last.
		expect(waiting).toEqual(range(80 - waiting.length, 80));
	});

	it("does not take it from others if the client may not have it, or it is too small", () => {
		const { send, clientOf, drain, outboxes, counts, pool } = rigOf(1);
		const [good, bad, large] = [clientOf(1), clientOf(2), clientOf(3)];
		for (let n = 0; n < 8; n++) send(bad, FILE, n, 1_000_000);
		for (let n = 8; n < 100; n++) send(good, VIDEO, n, 20_000);
		const { data } = outboxes[0]!.queue.counters;
		const { waiting } = data;
		for (let n = 100; n < 200; n++) send(bad, VIDEO, n, 20_000);
		for (let n = 200; n < 300; n++) send(large, VIDEO, n, 1_000_000);
		expect([counts.dropped.no_buffer, data.dropped, data.waiting]).toEqual([200, 100 - waiting, waiting]);
		const got = drain().get(1)!;
		expect(got).toEqual(range(100 - got.length, 100));
		expect(pool.inUse).toBe(0);
	});

	it("drops the newest, counted, if all others are being written", () => {
		const { send, clientOf, outboxes, counts, pool } = rigOf(1);
		const client = clientOf(7);
		const written: Frame[] = [];
		for (let n = 0; n < 300; n++) {
			send(client, VIDEO, n, 200_000);
			const frame = outboxes[0]!.next("data") as Frame | null;
			if (frame !== null) written.push(frame);
		}
		expect(counts.dropped.no_buffer).toBe(300 - written.length);
		expect(written.map(numberOf)).toEqual(range(0, written.length));
		for (const frame of written) frame.release();
		expect(pool.inUse).toBe(0);
	});
});

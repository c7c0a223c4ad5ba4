import { type BusLink, MemoryBus } from "@shardcast/bus";
import { RingReader } from "@shardcast/ring";
import { everybody, RecordKind } from "@shardcast/wire";
import { describe, expect, it, vi } from "vitest";
import { BusDestination, type Destination, LocalDestination } from "../../src/host/destination.ts";
import { IngestReader } from "../../src/host/ingest-reader.ts";
import { IngestMemory } from "../../src/ingest-memory.ts";
import { IngestMark } from "../../src/ingest-record.ts";
import { positionsInMemory } from "../../src/positions/position-file.ts";
import { RingFeed } from "../../src/worker/ring-feed.ts";

const payload = new Uint8Array(1000);
const row = 5;

function setup(destinationOf: (table: ReturnType<typeof positionsInMemory>) => Destination, capacityBytes = 65_536) {
	const table = positionsInMemory();
	const memory = IngestMemory.create(table.rowsMax, capacityBytes);
	const revoked: number[] = [];
	let wakes = 0;
	const reader = new IngestReader({
		memory,
		table,
		slot: 0,
		destination: destinationOf(table),
		wake: () => wakes++,
		onRevoked: (each) => revoked.push(each),
		onReset: () => {},
	});
	const feed = new RingFeed(memory);
	const write = (position: number) => feed.write(row, position, RecordKind.text, 0, 0, everybody, payload);
	return { table, memory, reader, feed, write, revoked, wakes: () => wakes };
}

const onBus = (link: BusLink) => (positions: ReturnType<typeof positionsInMemory>) =>
	new BusDestination(
		link,
		positions.intent(0),
		() => {},
		() => {},
	);

/** Wakes the worker, which waits for room, and waits until it has looked and sleeps again. */
async function looksInVain({ roomSignal }: IngestMemory): Promise<void> {
	const sleep = vi.spyOn(roomSignal, "sleep");
	roomSignal.wake();
	await vi.waitUntil(() => sleep.mock.calls.length > 0, { timeout: 5000, interval: 1 });
	sleep.mockRestore();
}

describe("the ring between ingest worker and loop", () => {
	it("does not let the loop sleep when a record comes between its last look and its falling asleep", () => {
		const { reader, write } = setup(() => new LocalDestination(0));
		const look = RingReader.prototype.hasRecords;
		// The worker is another thread: it may write at any instruction.
		const spy = vi.spyOn(RingReader.prototype, "hasRecords").mockImplementationOnce(function (this: RingReader) {
			const found = look.call(this);
			write(1);
			return found;
		});
		try {
			expect(reader.sleep()).toBe(false);
		} finally {
			spy.mockRestore();
		}
		expect(reader.read(1, () => {})).toBe(1);
		expect(reader.sleep()).toBe(true);
		reader.stop();
	});

	it.each([
		["this shard's clients", () => new LocalDestination(0)],
		["the bus", onBus(new MemoryBus({ members: 1, capacityBytes: 65_536 }).link(0))],
	])("ends a read for %s after the record with which it has visited so many bytes", (_where, destinationOf) => {
		const { reader, write } = setup(destinationOf);
		for (let position = 1; position <= 10; position++) write(position);
		expect(reader.read(100, () => {}, 2.5 * payload.length)).toBe(3);
		expect(reader.read(100, () => {}, 1)).toBe(1);
		expect(reader.read(100, () => {})).toBe(6);
		reader.stop();
	});

	it("full means paused, until half of it is free again; nothing is lost or kept on the side", async () => {
		const delivered: number[] = [];
		const { memory, reader, feed, write } = setup(() => new LocalDestination(0));
		let position = 0;
		while (write(position + 1)) position++;
		expect(position).toBeGreaterThan(40);
		let resumed = false;
		const paused = feed.room().then(() => {
			resumed = true;
		});
		const beganMs = performance.now();
		const visit = () => delivered.push(delivered.length + 1);
		reader.read(5, visit);
		await looksInVain(memory);
		expect(resumed).toBe(false);
		const pausedMs = performance.now() - beganMs;
		while (reader.backlogBytes() > memory.ring.capacityBytes / 2) reader.read(1, visit);
		await paused;
		expect(reader.backlogBytes()).toBeGreaterThan(memory.ring.capacityBytes / 4);
		expect(write(position + 1)).toBe(true);
		reader.read(1000, visit);
		expect(delivered).toHaveLength(position + 1);
		expect(memory.worker.get("pauses")).toBe(1);
		expect(memory.worker.get("pausedMs")).toBeGreaterThanOrEqual(pausedMs);
		expect(memory.cell(row, "delivered")).toBe(position + 1);
	});

	it("closing ends the wait for room", async () => {
		const { feed, write } = setup(() => new LocalDestination(0));
		for (let position = 1; write(position); position++);
		const waiting = feed.room();
		feed.close();
		await waiting;
	});

	it("a full bus holds one record and leaves the others in the ring, in order, until there is room", () => {
		const bus = new MemoryBus({ members: 2, capacityBytes: 16_384 });
		const [writer, other] = [bus.link(0), bus.link(1)];
		const { table, memory, reader, write, feed, revoked } = setup(onBus(writer!));
		for (let position = 1; position <= 40; position++) expect(write(position)).toBe(true);
		feed.mark(row, IngestMark.revoked, 0);
		const read = (): number => other!.read(1000, () => {}) + writer!.read(1000, () => {}) / 1e9;
		reader.read(100, () => {});
		const first = table.delivered(row, 0);
		expect(first).toBeGreaterThan(5);
		expect(first).toBeLessThan(40);
		expect([memory.host.get("busFull"), reader.hasRecords(), reader.empty]).toEqual([1, false, false]);
		expect(revoked).toEqual([]);
		let total = Math.floor(read());
		while (!reader.empty) {
			reader.read(100, () => {});
			total += Math.floor(read());
		}
		expect(total).toBe(40);
		expect(table.delivered(row, 0)).toBe(40);
		// Behind all of its records, and only then.
		expect(revoked).toEqual([row]);
	});

	// The loop was not asleep when the one try came, then fell asleep for good: ingest stopped until something else woke it.
	it("a full bus is tried again and again while the loop sleeps, also after a try that the loop did not hear", async () => {
		const bus = new MemoryBus({ members: 2, capacityBytes: 16_384 });
		const writer = bus.link(0);
		const { reader, write, wakes } = setup(onBus(writer!));
		for (let position = 1; position <= 40; position++) write(position);
		reader.read(100, () => {});
		for (let round = 1; round <= 3; round++) {
			expect(reader.sleep()).toBe(true);
			const before = wakes();
			await vi.waitUntil(() => wakes() > before, { timeout: 5000, interval: 1 });
		}
		reader.stop();
	});

	it("wakes the loop for a record that comes while it sleeps", async () => {
		const { reader, write, wakes } = setup(() => new LocalDestination(0));
		expect(reader.sleep()).toBe(true);
		write(1);
		await vi.waitUntil(() => wakes() > 0, { timeout: 5000, interval: 1 });
		expect(wakes()).toBe(1);
		expect(reader.sleep()).toBe(false);
		reader.stop();
	});
});

describe("a pause", () => {
	it("what is paused offers no room, and does when it goes on", async () => {
		const { memory, feed } = setup(() => new LocalDestination(0));
		memory.setPaused(true);
		expect(feed.fits(10, 100)).toBe(false);
		let resumed = false;
		const waiting = feed.room().then(() => {
			resumed = true;
		});
		await looksInVain(memory);
		expect(resumed).toBe(false);
		memory.setPaused(false);
		await waiting;
		expect(feed.fits(10, 100)).toBe(true);
	});
});

import { describe, expect, it, onTestFinished } from "vitest";
import type { BusLink } from "../src/bus-link.ts";

/** One bus, recreated for every test. */
interface BusHarness {
	readonly members: number;
	join(slot: number): BusLink;
	/** Leaves nothing behind. Closes links that are still open. */
	close(): void;
}

/** Capacity of each ring that `makeHarness` makes: small, so that every test comes to the end of it. */
export const contractCapacityBytes = 4096;

/** What every implementation of the bus does alike. */
export function describeBusContract(name: string, makeHarness: () => BusHarness): void {
	function make(): BusHarness {
		const harness = makeHarness();
		onTestFinished(() => harness.close());
		return harness;
	}

	describe(`${name} keeps the bus contract`, () => {
		it("what a member publishes, every member gets once, itself included, with its origin", () => {
			const harness = make();
			const links = Array.from({ length: harness.members }, (_, slot) => harness.join(slot));
			for (const link of links) publish(link, `from ${link.member}`);
			for (const link of links) {
				expect(takeAll(link).sort()).toEqual(links.map(({ member }) => `${member}: from ${member}`));
				expect(takeAll(link)).toEqual([]);
			}
		});

		it("keeps each origin's order, over many laps of the ring, byte for byte", { tags: ["long"] }, () => {
			const harness = make();
			const [writer, reader] = [harness.join(0), harness.join(1)];
			const written: string[] = [];
			const read: string[] = [];
			for (let i = 0; i < 5000; i++) {
				const text = `${i}:${"x".repeat((i * 37) % (writer.recordBytesMax - 10))}`;
				while (!publish(writer, text)) {
					takeAll(writer);
					read.push(...takeAll(reader));
				}
				written.push(`0: ${text}`);
			}
			read.push(...takeAll(reader));
			expect(read).toEqual(written);
		});

		it("carries records of every length from 0 to the longest, and throws for a longer one", () => {
			const harness = make();
			const [writer, reader] = [harness.join(0), harness.join(1)];
			for (let bytes = 0; bytes <= writer.recordBytesMax; bytes++) {
				const text = "y".repeat(bytes);
				expect(publish(writer, text)).toBe(true);
				expect(takeAll(reader)).toEqual([`0: ${text}`]);
				takeAll(writer);
			}
			expect(() => writer.claim(writer.recordBytesMax + 1)).toThrow(/an eighth of its capacity/);
		});

		it("a full ring refuses, counts it, loses nothing, and goes on when the slowest has read", () => {
			const harness = make();
			const [writer, fast, slow] = [harness.join(0), harness.join(1), harness.join(2)];
			let published = 0;
			while (publish(writer, `record ${published}`)) published++;
			expect(published).toBeGreaterThan(10);
			expect(writer.backpressuredCount).toBe(1);
			expect(writer.depthBytes()).toBeGreaterThan(contractCapacityBytes / 2);
			// The fast ones have read everything; it is still the slow one that counts.
			takeAll(writer);
			expect(takeAll(fast)).toHaveLength(published);
			expect(publish(writer, "refused")).toBe(false);
			expect(writer.backpressuredCount).toBe(2);
			expect(takeAll(slow)).toEqual(Array.from({ length: published }, (_, i) => `0: record ${i}`));
			expect(writer.depthBytes()).toBe(0);
			expect(publish(writer, "taken")).toBe(true);
		});

		it("one member's full ring does not hold up the others'", () => {
			const harness = make();
			const [full, free, reader] = [harness.join(0), harness.join(1), harness.join(2)];
			while (publish(full, "full"));
			takeAll(free);
			expect(publish(free, "free")).toBe(true);
			expect(takeAll(reader)).toContain("1: free");
		});

		it("reads at most as many as asked for, over all rings together", () => {
			const harness = make();
			const links = Array.from({ length: harness.members }, (_, slot) => harness.join(slot));
			for (const link of links) for (let i = 0; i < 5; i++) publish(link, `${i}`);
			const reader = links[0];
			const total = 5 * harness.members;
			const sizes: number[] = [];
			for (let left = total; left > 0; ) {
				const count = reader.read(4, () => {});
				sizes.push(count);
				left -= count;
			}
			expect(sizes).toEqual([...new Array(Math.floor(total / 4)).fill(4), ...(total % 4 === 0 ? [] : [total % 4])]);
			expect(reader.read(4, () => {})).toBe(0);
			expect(links[1].read(0, () => {})).toBe(0);
			expect(links[1].hasRecords()).toBe(true);
		});

		it("ends a read after the record with which it has visited so many bytes, over all rings together", () => {
			const harness = make();
			const links = Array.from({ length: harness.members }, (_, slot) => harness.join(slot));
			for (const link of links) for (let i = 0; i < 2; i++) publish(link, "x".repeat(100));
			const reader = links[0];
			expect(reader.read(100, () => {}, 201)).toBe(3);
			expect(reader.read(100, () => {}, 1)).toBe(1);
			expect(reader.read(100, () => {}, 0)).toBe(0);
			expect(reader.read(100, () => {})).toBe(2 * harness.members - 4);
		});

		it("looks ahead at the unread records of all rings, once, and reads them nevertheless", () => {
			const harness = make();
			const [one, other, reader] = [harness.join(0), harness.join(1), harness.join(2)];
			const ahead = () => {
				const seen: string[] = [];
				reader.ahead((origin, u8, _view, start, end) => seen.push(`${origin}: ${Buffer.from(u8.slice(start, end)).toString()}`) > 0);
				return seen.sort();
			};
			publish(one, "a");
			publish(other, "b");
			expect(ahead()).toEqual(["0: a", "1: b"]);
			publish(one, "c");
			expect(ahead()).toEqual(["0: c"]);
			expect(ahead()).toEqual([]);
			expect(takeAll(reader).sort()).toEqual(["0: a", "0: c", "1: b"]);
			expect(ahead()).toEqual([]);
			publish(one, "d");
			publish(other, "e");
			expect(reader.ahead(() => false)).toBe(false);
			expect(ahead(), "the others").toHaveLength(1);
		});

		it("reads fairly: a member that always has more than a batch does not starve the others", () => {
			const harness = make();
			const [busy, quiet, reader] = [harness.join(0), harness.join(1), harness.join(2)];
			const refill = () => {
				takeAll(busy);
				takeAll(quiet);
				while (publish(busy, "busy"));
			};
			refill();
			publish(quiet, "quiet");
			const origins: number[] = [];
			for (let turn = 0; turn < harness.members; turn++) {
				reader.read(2, (origin) => origins.push(origin));
				refill();
			}
			expect(origins).toContain(1);
		});

		it("a visitor that throws costs its record and no other", () => {
			const harness = make();
			const [writer, reader] = [harness.join(0), harness.join(1)];
			for (let i = 0; i < 4; i++) publish(writer, `${i}`);
			const seen: string[] = [];
			const visit = (_origin: number, u8: Uint8Array, _view: DataView, start: number, end: number) => {
				const text = Buffer.from(u8.subarray(start, end)).toString();
				if (text === "1") throw new Error("bad record");
				seen.push(text);
			};
			expect(() => reader.read(10, visit)).toThrow("bad record");
			expect(reader.read(10, visit)).toBe(2);
			expect(seen).toEqual(["0", "2", "3"]);
		});

		it("a visitor may publish, and may not read", () => {
			const harness = make();
			const [first, second] = [harness.join(0), harness.join(1)];
			publish(first, "question");
			second.read(10, (origin) => {
				if (origin === 0) publish(second, "answer");
			});
			expect(takeAll(first).sort()).toEqual(["0: question", "1: answer"]);
			publish(first, "once more");
			expect(() => second.read(10, () => second.read(10, () => {}))).toThrow("read within a read");
			publish(first, "another");
			expect(takeAll(second)).toContain("0: another");
		});

		it("a claim that is not committed is not published", () => {
			const harness = make();
			const [writer, reader] = [harness.join(0), harness.join(1)];
			writer.claim(100);
			expect(reader.hasRecords()).toBe(false);
			publish(writer, "real");
			expect(takeAll(reader)).toEqual(["0: real"]);
		});

		it("a member that joins later gets what is published from then on", () => {
			const harness = make();
			const writer = harness.join(0);
			publish(writer, "before");
			const reader = harness.join(1);
			expect(reader.hasRecords()).toBe(false);
			publish(writer, "after");
			expect(takeAll(reader)).toEqual(["0: after"]);
		});

		it("a member that leaves is waited for no longer, and may join again under the same slot", () => {
			const harness = make();
			const writer = harness.join(0);
			let reader = harness.join(1);
			while (publish(writer, "filling"));
			takeAll(writer);
			expect(publish(writer, "refused")).toBe(false);
			reader.close();
			expect(publish(writer, "taken")).toBe(true);
			reader = harness.join(1);
			expect(takeAll(reader)).toEqual([]);
			publish(writer, "again");
			expect(takeAll(reader)).toEqual(["0: again"]);
		});

		it("a successor goes on writing where its predecessor ended", () => {
			const harness = make();
			const reader = harness.join(1);
			const first = harness.join(0);
			publish(first, "first");
			first.claim(50);
			first.close();
			const second = harness.join(0);
			publish(second, "second");
			expect(takeAll(reader)).toEqual(["0: first", "0: second"]);
		});

		it("a link that was closed does nothing any more, and says so when asked to publish", () => {
			const harness = make();
			const link = harness.join(0);
			publish(link, "unread");
			link.close();
			link.close();
			expect(() => link.claim(1)).toThrow("has left the bus");
			expect(link.read(10, () => {})).toBe(0);
			expect(link.hasRecords()).toBe(false);
			expect([link.depthBytes(), link.backlogBytes(), link.backpressuredCount]).toEqual([0, 0, 0]);
			link.ringWaiters();
			link.awake();
			link.refreshMembers();
		});

		it("backlog counts what this member has not read, depth what the slowest has not", () => {
			const harness = make();
			const [writer, reader] = [harness.join(0), harness.join(1)];
			publish(writer, "12345678");
			publish(reader, "12345678");
			const recordBytes = writer.depthBytes();
			expect(recordBytes).toBeGreaterThanOrEqual(16);
			expect(reader.backlogBytes()).toBe(2 * recordBytes);
			takeAll(reader);
			expect(reader.backlogBytes()).toBe(0);
			expect(writer.depthBytes()).toBe(recordBytes);
			takeAll(writer);
			expect(writer.depthBytes()).toBe(0);
		});

		it("a sleeper is woken by a publisher that rings, again and again", { tags: ["long"] }, async () => {
			const harness = make();
			const [writer, reader] = [harness.join(0), harness.join(1)];
			let wakes = 0;
			reader.onWake(() => wakes++);
			for (let round = 1; round <= 50; round++) {
				expect(reader.sleep()).toBe(true);
				publish(writer, `${round}`);
				writer.ringWaiters();
				await expect.poll(() => wakes, { interval: 1 }).toBe(round);
				expect(takeAll(reader)).toEqual([`0: ${round}`]);
				takeAll(writer);
			}
		});

		it("does not sleep while there is something: its look comes after its word", () => {
			const harness = make();
			const [writer, reader] = [harness.join(0), harness.join(1)];
			publish(writer, "already there");
			expect(reader.sleep()).toBe(false);
			takeAll(reader);
			expect(reader.sleep()).toBe(true);
		});

		it("a member that is awake is not rung for", async () => {
			const harness = make();
			const [writer, reader] = [harness.join(0), harness.join(1)];
			let wakes = 0;
			reader.onWake(() => wakes++);
			publish(writer, "one");
			writer.ringWaiters();
			expect(reader.sleep()).toBe(false);
			publish(writer, "two");
			writer.ringWaiters();
			await new Promise((resolve) => setTimeout(resolve, 20));
			expect(wakes).toBe(0);
		});

		it("a member that has found something to do by itself is not rung for until it sleeps again, by others or by itself", async () => {
			const harness = make();
			const [writer, reader] = [harness.join(0), harness.join(1)];
			let wakes = 0;
			for (const link of [writer, reader]) link.onWake(() => wakes++);
			for (const link of [writer, reader]) {
				expect(link.sleep()).toBe(true);
				link.awake();
			}
			publish(writer, "one");
			writer.ringWaiters();
			expect([writer.overslept(), reader.overslept()]).toEqual([false, false]);
			await new Promise((resolve) => setTimeout(resolve, 20));
			expect(wakes).toBe(0);
			expect(takeAll(reader)).toEqual(["0: one"]);
			expect(reader.sleep()).toBe(true);
			publish(writer, "two");
			writer.ringWaiters();
			await expect.poll(() => wakes, { interval: 1 }).toBe(1);
		});

		it("a member that publishes while it sleeps wakes itself: it reads its own ring too", async () => {
			const harness = make();
			const link = harness.join(0);
			const woken = new Promise<void>((resolve) => link.onWake(resolve));
			expect(link.sleep()).toBe(true);
			publish(link, "own");
			link.ringWaiters();
			await woken;
			expect(takeAll(link)).toEqual(["0: own"]);
		});

		it("all sleepers are woken by one publisher", async () => {
			const harness = make();
			const links = Array.from({ length: harness.members }, (_, slot) => harness.join(slot));
			const woken = links.slice(1).map((link) => new Promise<void>((resolve) => link.onWake(resolve)));
			for (const link of links.slice(1)) expect(link.sleep()).toBe(true);
			publish(links[0], "everybody");
			links[0].ringWaiters();
			await Promise.all(woken);
		});
	});
}

export function publish(link: BusLink, text: string): boolean {
	const bytes = Buffer.from(text);
	const at = link.claim(bytes.length);
	if (at < 0) return false;
	link.u8.set(bytes, at);
	link.commit();
	return true;
}

export function takeAll(link: BusLink): string[] {
	const records: string[] = [];
	const visit = (origin: number, u8: Uint8Array, _view: DataView, start: number, end: number) => {
		records.push(`${origin}: ${Buffer.from(u8.subarray(start, end)).toString()}`);
	};
	while (link.read(64, visit) > 0);
	return records;
}

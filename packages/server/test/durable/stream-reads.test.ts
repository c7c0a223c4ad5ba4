import type { History, HistoryOptions, Publication } from "@shardcast/channel-log";
import { RecordKind } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import { type StreamRange, StreamReads } from "../../src/durable/stream-reads.ts";

const publication = (offset: number, bytes = 1): Publication => ({
	...{ offset, previousOffset: offset - 1, kind: RecordKind.text },
	data: new Uint8Array(bytes),
});
const all = (from: number, to: number, bytes = 1): Publication[] =>
	Array.from({ length: to - from }, (_, index) => publication(from + 1 + index, bytes));

function start() {
	const clock = { nowMs: 0 };
	const asked: { readonly channel: string; readonly options: HistoryOptions; readonly answer: (history: History | null) => void }[] = [];
	const reads = new StreamReads({
		broker: {
			history: (channel, options = {}) => new Promise<History | null>((answer) => asked.push({ channel, options, answer })),
		},
		nowMs: () => clock.nowMs,
	});
	const answer = async (publications: readonly Publication[] | null, epoch = "e") => {
		asked.shift()!.answer(publications === null ? null : { publications, position: { offset: 1000, epoch } });
		await new Promise((resolve) => setImmediate(resolve));
	};
	return { clock, asked, reads, answer };
}

describe("StreamReads", () => {
	it("reads a channel once for all clients that return to it, whatever they have missed", async () => {
		const { asked, reads, answer } = start();
		expect(reads.get("a", "e", 3, 300)).toBeNull();
		expect(reads.get("a", "e", 5, 300)).toBeNull();
		expect(asked.map(({ options }) => options)).toEqual([{ since: { offset: 3, epoch: "e" }, limit: 300 }]);
		await answer(all(3, 9));
		for (const from of [3, 5]) expect(reads.get("a", "e", from, 300)).toMatchObject({ from: 3, to: 9 });
		expect(reads.count).toBe(1);
	});

	it("reads again for a client that has missed more, and after five seconds without use", async () => {
		const { clock, asked, reads, answer } = start();
		reads.get("a", "e", 5, 300);
		await answer(all(5, 9));
		expect(reads.get("a", "e", 2, 300)).toBeNull();
		await answer(all(2, 9));
		expect(reads.get("a", "e", 2, 300)).toMatchObject({ from: 2 });
		clock.nowMs += 5000;
		expect(reads.get("a", "e", 2, 300)).toBeNull();
		expect(asked.length).toBe(1);
	});

	it("reports lost publications when the first or another one is missing, or the epoch differs", async () => {
		const { reads, answer } = start();
		const attempts: [Publication[], string][] = [
			[all(4, 9), "e"],
			[[publication(4), publication(6)], "e"],
			[[], "e"],
			[all(3, 9), "another"],
		];
		for (const [index, [publications, epoch]] of attempts.entries()) {
			reads.get(`c${index}`, "e", 3, 300);
			await answer(publications, epoch);
			expect(reads.get(`c${index}`, "e", 3, 300), `attempt ${index}`).toBe("gone");
		}
	});

	it("retries for those who still wait while Redis cannot be reached", async () => {
		const { asked, reads, answer } = start();
		reads.get("a", "e", 3, 300);
		await answer(null);
		expect(reads.get("a", "e", 3, 300)).toBeNull();
		expect(asked.length).toBe(1);
	});

	it("has at most 64 reads in progress", async () => {
		const { asked, reads, answer } = start();
		for (let index = 0; index < 70; index++) expect(reads.get(`c${index}`, "e", 0, 300)).toBeNull();
		expect(asked.length).toBe(64);
		await answer(all(0, 1));
		reads.get("c69", "e", 0, 300);
		expect(asked.at(-1)!.channel).toBe("c69");
	});

	it("keeps at most 64 MiB, and drops the oldest", async () => {
		const { reads, answer } = start();
		const bytes = 16 * 1024 * 1024 - 200;
		for (let index = 0; index < 5; index++) {
			reads.get(`c${index}`, "e", 0, 300);
			await answer([publication(1, bytes)]);
		}
		const isKept = (index: number) => (reads.get(`c${index}`, "e", 0, 300) as StreamRange | null) !== null;
		expect([1, 2, 3, 4].map(isKept)).toEqual([true, true, true, true]);
		expect(isKept(0), "the oldest").toBe(false);
	});
});

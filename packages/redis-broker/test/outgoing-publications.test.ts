import type { HistoryLimits } from "@shardcast/channel-log";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { OutgoingPublications, type PublicationOutcome } from "../src/outgoing-publications.ts";

const limits: HistoryLimits = { size: 10, ttlMs: 1000, metaTtlMs: 1000 };

/** Redis, which answers when the test says so. */
class Sent {
	readonly batches: {
		readonly channel: string;
		readonly size: number;
		readonly texts: readonly string[];
		readonly end: (error?: Error) => void;
	}[] = [];
	readonly outgoing = new OutgoingPublications((channel, { size }, publications) => {
		const texts = publications.map(({ bytes }) => bytes.toString());
		return new Promise((resolve, reject) => {
			const outcomes = texts.map((_, index): PublicationOutcome => ({ outcome: "accepted", position: { offset: index + 1, epoch: "e" } }));
			this.batches.push({ channel, size, texts, end: (error) => (error === undefined ? resolve(outcomes) : reject(error)) });
		});
	});

	take(text: string, channel = "a", { ...history } = limits): Promise<PublicationOutcome> {
		return this.outgoing.take(channel, history, { bytes: Buffer.from(text), idempotency: undefined });
	}

	get texts(): readonly string[] {
		return this.batches.map(({ channel, texts }) => `${channel}: ${texts.join(" ")}`);
	}
}

describe("OutgoingPublications", () => {
	let sent: Sent;
	beforeEach(() => {
		vi.useFakeTimers();
		sent = new Sent();
	});
	afterEach(() => void vi.useRealTimers());

	/** Lets promises settle, without time passing. */
	const turn = () => vi.advanceTimersByTimeAsync(0);

	it("an idle channel waits for nothing, and what comes in one callback goes together, apart for each channel", async () => {
		for (const text of ["1", "2", "3"]) void sent.take(text);
		void sent.take("4", "b");
		expect(sent.texts).toEqual([]);
		await Promise.resolve();
		expect(sent.texts).toEqual(["a: 1 2 3", "b: 4"]);
	});

	it("what arrives before the reply goes together after it, in order, and each gets its own outcome", async () => {
		const outcomes = ["1", "2", "3"].map(async (text) => {
			const outcome = sent.take(text);
			return outcome;
		});
		await turn();
		outcomes.push(sent.take("4"));
		await turn();
		outcomes.push(sent.take("5"));
		await turn();
		expect(sent.texts).toEqual(["a: 1 2 3"]);
		sent.batches[0]!.end();
		await turn();
		expect(sent.texts).toEqual(["a: 1 2 3", "a: 4 5"]);
		sent.batches[1]!.end();
		const offsets = (await Promise.all(outcomes)).map((outcome) => outcome.outcome === "accepted" && outcome.position.offset);
		expect(offsets).toEqual([1, 2, 3, 1, 2]);
		// Idle again.
		void sent.take("6");
		await turn();
		expect(sent.texts.at(-1)).toBe("a: 6");
	});

	it("waits 100 ms for a reply at most, and 100 publications wait for none", async () => {
		void sent.take("first");
		await turn();
		void sent.take("late");
		await vi.advanceTimersByTimeAsync(99);
		expect(sent.batches.length).toBe(1);
		await vi.advanceTimersByTimeAsync(1);
		expect(sent.texts).toEqual(["a: first", "a: late"]);
		for (let index = 0; index < 205; index++) void sent.take(String(index));
		expect(sent.batches.slice(2).map(({ texts }) => texts.length)).toEqual([100, 100]);
		for (const { end } of sent.batches) end();
		await turn();
		expect(sent.batches[4]!.texts).toEqual(["200", "201", "202", "203", "204"]);
	});

	it("no batch is longer than 256 KiB unless it has one publication, and none has two kinds of limits", async () => {
		const long = "x".repeat(200_000);
		for (const text of [long, long, "y".repeat(300_000), "1"]) void sent.take(text);
		void sent.take("2", "a", { ...limits, size: 20 });
		void sent.take("3", "a", { ...limits, size: 20 });
		await turn();
		expect(sent.batches.map(({ size, texts }) => [size, texts.map(({ length }) => length)])).toEqual([
			[10, [200_000]],
			[10, [200_000]],
			[10, [300_000]],
			[10, [1]],
			[20, [1, 1]],
		]);
	});

	it("takes 64 MiB, refuses more, and has room again after the replies", { tags: ["long"] }, async () => {
		const text = "x".repeat(1024 * 1024);
		let refused: PublicationOutcome | null = null;
		let taken = 0;
		for (; refused === null && taken < 100; taken++)
			void sent.take(text, `channel-${taken}`).then((outcome) => {
				if (outcome.outcome === "full") refused = outcome;
			});
		await turn();
		expect(sent.batches.length).toBe(63);
		expect(refused).toMatchObject({ outcome: "full", reason: "broker", detail: expect.stringContaining("wait for Redis") });
		for (const { end } of sent.batches) end();
		await turn();
		void sent.take(text, "later");
		await turn();
		expect(sent.batches.at(-1)!.channel).toBe("later");
	});

	it("an error fails its batch only", async () => {
		const [first, second] = [sent.take("1"), sent.take("2")];
		const errors = Promise.allSettled([first, second]);
		await turn();
		const third = sent.take("3");
		sent.batches[0]!.end(new Error("broken"));
		expect((await errors).map((result) => result.status === "rejected" && (result.reason as Error).message)).toEqual(["broken", "broken"]);
		await turn();
		sent.batches[1]!.end();
		expect(await third).toMatchObject({ outcome: "accepted" });
	});
});

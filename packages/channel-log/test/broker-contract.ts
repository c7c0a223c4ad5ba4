import { encodePublisherInfo } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import type { Answer, Broker, History, HistoryOptions, Position, PublishOptions } from "../src/broker.ts";
import { bytes, limits, shown, text } from "./fixtures.ts";

/** What the contract needs of an implementation. */
interface BrokerHarness {
	/** Of one cluster; two of them are two processes. */
	broker(member: number): Broker;
	/** Lets so much time pass for all of them. */
	pass(ms: number): Promise<void> | void;
	/** A channel that nobody has used. */
	channel(): string;
	/** Another process is paused while it has the right to publish, until the returned function is called. */
	pausePublishing(): Answer<() => Answer<void>>;
	/** Another process is paused in the middle of changing where the channels are, until the returned function is called. */
	pauseChange(): Answer<() => Answer<void>>;
}

const kept: PublishOptions = { history: limits };

/** What every broker does, wherever it keeps its state. Each implementation calls this with its own harness. */
export function brokerContract(name: string, make: () => BrokerHarness | Promise<BrokerHarness>): void {
	describe(`${name} keeps the contract of a Broker`, () => {
		async function start() {
			const harness = await make();
			const [first, second] = [harness.broker(0), harness.broker(1)];
			const channel = harness.channel();
			const put = async (message: string, options = kept, broker = first, into = channel): Promise<Position> => {
				const result = await broker.publish(into, bytes(message), options);
				if (result.outcome !== "accepted") throw new Error(`refused: ${JSON.stringify(result)}`);
				return result.position;
			};
			const read = async (options?: HistoryOptions, broker = second, from = channel): Promise<History> => {
				const history = await broker.history(from, options);
				if (history === null) throw new Error("no answer");
				return history;
			};
			const list = async (options?: HistoryOptions): Promise<string[]> => shown((await read(options)).publications);
			return { harness, first, second, channel, put, read, list };
		}

		it("offsets count from 1 in one epoch, whoever publishes", async () => {
			const { first, second, put } = await start();
			const positions = [await put("a"), await put("b", kept, second), await put("c", kept, first)];
			expect(positions.map(({ offset }) => offset)).toEqual([1, 2, 3]);
			expect(new Set(positions.map(({ epoch }) => epoch)).size).toBe(1);
			expect(positions[0]!.epoch).not.toBe("");
		});

		it("each channel has its own order", async () => {
			const { harness, put, read, first, second } = await start();
			const other = harness.channel();
			await put("a");
			await put("b", kept, first, other);
			await put("c");
			expect(shown((await read()).publications)).toEqual(["1:a", "2:c"]);
			expect(shown((await read({}, second, other)).publications)).toEqual(["1:b"]);
		});

		it("a channel that nobody has published to is at offset 0 of the epoch that its first publication has", async () => {
			const { put, read, second, channel } = await start();
			const { publications, position } = await read();
			expect([publications, position.offset]).toEqual([[], 0]);
			expect(await second.position(channel)).toEqual(position);
			expect(await put("first")).toEqual({ offset: 1, epoch: position.epoch });
		});

		it("carries bytes, kind, info, tags and the delta flag as they were given", async () => {
			const { put, read } = await start();
			const data = Uint8Array.from({ length: 256 }, (_, byte) => byte);
			const info = encodePublisherInfo({ user: "ann", client: "c-1", connInfo: bytes("{}") });
			const { first, channel } = await start();
			await first.publish(channel, data, { ...kept, kind: 2, info, tags: { ä: "1", b: "" }, delta: true });
			await put("plain");
			const [plain] = (await read()).publications;
			expect(Object.keys(plain!).sort()).toEqual(["data", "kind", "offset", "previousOffset"]);
			const whole = (await first.history(channel))!.publications[0]!;
			expect(whole).toMatchObject({ offset: 1, previousOffset: 0, kind: 2, tags: { ä: "1", b: "" }, delta: true });
			expect([...whole.data]).toEqual([...data]);
			expect([...whole.info!]).toEqual([...info]);
		});

		it("data may be empty, and belongs to whoever asked", async () => {
			const { put, read } = await start();
			await put("");
			await put("mine");
			const [empty, mine] = (await read()).publications;
			expect(empty!.data.length).toBe(0);
			mine!.data.fill(0);
			expect(text((await read()).publications[1]!.data)).toBe("mine");
		});

		it("history: since, limit and reverse", async () => {
			const { put, read, list } = await start();
			for (const message of ["a", "b", "c", "d", "e"]) await put(message);
			const { epoch } = (await read({ limit: 0 })).position;
			const at = (offset: number): Position => ({ offset, epoch });
			expect(await list()).toEqual(["1:a", "2:b", "3:c", "4:d", "5:e"]);
			expect(await list({ limit: 2 })).toEqual(["1:a", "2:b"]);
			expect(await list({ limit: 0 })).toEqual([]);
			expect(await list({ reverse: true })).toEqual(["5:e", "4:d", "3:c", "2:b", "1:a"]);
			expect(await list({ reverse: true, limit: 2 })).toEqual(["5:e", "4:d"]);
			expect(await list({ since: at(3) })).toEqual(["4:d", "5:e"]);
			expect(await list({ since: at(0), limit: 1 })).toEqual(["1:a"]);
			expect(await list({ since: at(3), limit: 1 })).toEqual(["4:d"]);
			expect(await list({ since: at(5) })).toEqual([]);
			expect(await list({ since: at(9) })).toEqual([]);
			expect(await list({ since: at(3), reverse: true })).toEqual(["2:b", "1:a"]);
			expect(await list({ since: at(3), reverse: true, limit: 1 })).toEqual(["2:b"]);
			expect((await read({ since: at(1), limit: 1 })).position).toEqual(at(5));
		});

		it("nothing is found since a position of another epoch; the result has the epoch to compare", async () => {
			const { put, read } = await start();
			const { epoch } = await put("a");
			const { publications, position } = await read({ since: { offset: 0, epoch: "another" } });
			expect([publications, position]).toEqual([[], { offset: 1, epoch }]);
		});

		it("each publication names the one before it", async () => {
			const { put, read } = await start();
			for (const message of ["a", "b", "c"]) await put(message);
			expect((await read()).publications.map(({ previousOffset }) => previousOffset)).toEqual([0, 1, 2]);
		});

		it("keeps the newest `size` only; offsets go on", async () => {
			const { put, read, list } = await start();
			const two = { history: { ...limits, size: 2 } };
			for (const message of ["a", "b", "c"]) await put(message, two);
			expect(await list()).toEqual(["2:b", "3:c"]);
			expect((await read({ since: { offset: 0, epoch: (await read()).position.epoch } })).publications[0]!.previousOffset).toBe(1);
		});

		it("the history lives for its time to live after the last publication, and is gone at once; offset and epoch stay", async () => {
			const { harness, put, read, list } = await start();
			const short = { history: { size: 10, ttlMs: 500, metaTtlMs: 60_000 } };
			const { epoch } = await put("old", short);
			await harness.pass(300);
			await put("young", short);
			await harness.pass(300);
			expect(await list()).toEqual(["1:old", "2:young"]);
			await harness.pass(300);
			expect(await read()).toEqual({ publications: [], position: { offset: 2, epoch } });
			expect(await put("next", short)).toEqual({ offset: 3, epoch });
			expect(await list()).toEqual(["3:next"]);
		});

		it("offset and epoch are gone after their time to live, and the epoch never comes back", async () => {
			const { harness, put, read } = await start();
			const short = { history: { size: 10, ttlMs: 200, metaTtlMs: 400 } };
			const epochs = new Set<string>();
			for (let round = 0; round < 3; round++) {
				const { offset, epoch } = await put("a", short);
				expect(offset).toBe(1);
				epochs.add(epoch);
				await harness.pass(500);
				const gone = await read();
				expect([gone.publications, gone.position.offset]).toEqual([[], 0]);
				expect(gone.position.epoch).not.toBe(epoch);
			}
			expect(epochs.size).toBe(3);
		});

		it("reading keeps offset and epoch alive", async () => {
			const { harness, put, second, channel } = await start();
			const short = { history: { size: 10, ttlMs: 200, metaTtlMs: 800 } };
			const { epoch } = await put("a", short);
			for (let round = 0; round < 4; round++) {
				await harness.pass(400);
				expect(await second.position(channel)).toEqual({ offset: 1, epoch });
			}
		});

		it("removing the history keeps offset and epoch", async () => {
			const { put, read, second, channel } = await start();
			await put("a");
			const position = await put("b");
			expect(await second.removeHistory(channel)).toBe(true);
			expect(await read()).toEqual({ publications: [], position });
			expect(await put("c")).toEqual({ offset: 3, epoch: position.epoch });
			expect(shown((await read()).publications)).toEqual(["3:c"]);
			expect(await second.removeHistory(`${channel}-unknown`)).toBe(true);
		});

		it("a key that was used answers with the first position, for every process, in its channel only", async () => {
			const { harness, first, second, put, read, channel } = await start();
			const once: PublishOptions = { ...kept, idempotency: { key: "k", ttlMs: 300_000 } };
			const position = await put("a", once);
			await put("b");
			const again = await second.publish(channel, bytes("again"), once);
			expect(again).toEqual({ outcome: "accepted", duplicate: true, position });
			expect(shown((await read()).publications)).toEqual(["1:a", "2:b"]);
			const other = harness.channel();
			const isAccepted = { outcome: "accepted", position: expect.anything() };
			expect(await first.publish(other, bytes("a"), once)).toEqual(isAccepted);
			const another = { ...kept, idempotency: { key: "K", ttlMs: 300_000 } };
			expect(await first.publish(channel, bytes("c"), another)).toEqual(isAccepted);
		});

		it("a key is forgotten after its time to live, and not before", async () => {
			const { harness, first, channel, put } = await start();
			const once: PublishOptions = { ...kept, idempotency: { key: "k", ttlMs: 500 } };
			await put("a", once);
			await harness.pass(300);
			expect(await first.publish(channel, bytes("b"), once)).toMatchObject({ duplicate: true, position: { offset: 1 } });
			await harness.pass(400);
			expect(await first.publish(channel, bytes("c"), once)).toEqual({
				outcome: "accepted",
				position: { offset: 2, epoch: expect.any(String) },
			});
		});

		it("is full while another process is paused that publishes: nothing happens, history can be read, and the retry is the first", async () => {
			const { harness, first, second, channel, put, list } = await start();
			await put("a");
			const once: PublishOptions = { ...kept, idempotency: { key: "k", ttlMs: 300_000 } };
			const goOn = await harness.pausePublishing();
			try {
				for (const broker of [first, second])
					expect(await broker.publish(channel, bytes("refused"), once)).toMatchObject({ outcome: "full", reason: expect.any(String) });
				expect(await first.publish(harness.channel(), bytes("refused"), kept)).toMatchObject({ outcome: "full" });
				expect(await second.removeHistory(channel)).toBe(false);
				expect(await list()).toEqual(["1:a"]);
			} finally {
				await goOn();
			}
			expect(await second.publish(channel, bytes("b"), once)).toEqual({
				outcome: "accepted",
				position: { offset: 2, epoch: expect.any(String) },
			});
			expect(await list()).toEqual(["1:a", "2:b"]);
		});

		it("says that it cannot tell while a channel is being changed, rather than anything that is not so", async () => {
			const { harness, first, second, channel, put, list, read } = await start();
			await put("a");
			const { position } = await read();
			const goOn = await harness.pauseChange();
			try {
				for (const broker of [first, second]) expect([await broker.history(channel), await broker.position(channel)]).toEqual([null, null]);
			} finally {
				await goOn();
			}
			expect(await list()).toEqual(["1:a"]);
			expect(await second.position(channel)).toEqual(position);
		});

		it("two that publish at once: each offset once, each in its own order, and one order for all", async () => {
			const { first, second, channel, put, list } = await start();
			const many = async (name: string, broker: Broker): Promise<number[]> => {
				const offsets: number[] = [];
				for (let count = 0; count < 50; ) {
					const result = await broker.publish(channel, bytes(`${name}${count}`), kept);
					if (result.outcome !== "accepted") {
						// A broker that is not connected refuses at once: it needs the event loop to connect again.
						await new Promise(setImmediate);
						continue;
					}
					offsets.push(result.position.offset);
					count++;
				}
				return offsets;
			};
			const taken = await Promise.all([many("a", first), many("b", second)]);
			expect(taken.flat().sort((one, other) => one - other)).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
			const expected: string[] = [];
			for (const [index, name] of ["a", "b"].entries())
				for (const [count, offset] of taken[index]!.entries()) expected[offset - 1] = `${offset}:${name}${count}`;
			for (const offsets of taken) expect(offsets).toEqual(offsets.toSorted((one, other) => one - other));
			expect(await list()).toEqual(expected);
			expect(shown((await first.history(channel))!.publications)).toEqual(expected);
			expect((await put("last")).offset).toBe(101);
		});

		it("refuses names, limits and times to live that make no sense, and says which", async () => {
			const { first, channel } = await start();
			const attempt = async (options: PublishOptions, into = channel, data = bytes("x")) => first.publish(into, data, options);
			const withHistory = (others: object): PublishOptions => ({ history: { ...limits, ...others } });
			await expect(attempt(kept, "")).rejects.toThrow("channel name is empty");
			await expect(attempt(kept, "x".repeat(256))).rejects.toThrow("255");
			for (const size of [0, -1, 1.5, Number.NaN]) await expect(attempt(withHistory({ size }))).rejects.toThrow(`${size} publications`);
			await expect(attempt(withHistory({ ttlMs: 0 }))).rejects.toThrow("0 ms");
			await expect(attempt(withHistory({ metaTtlMs: 1 }))).rejects.toThrow("give at least");
			await expect(attempt({ ...kept, idempotency: { key: "k", ttlMs: 2 ** 33 } })).rejects.toThrow("idempotency");
			expect((await first.history(channel))!.publications).toEqual([]);
		});
	});
}

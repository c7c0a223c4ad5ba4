import { randomBytes } from "node:crypto";
import { RecordKind } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import type { DurableStore, Storing } from "../src/store.ts";

interface StoreLimits {
	readonly bytesMax?: number;
	readonly positionsMax?: number;
}

/** A store under test. */
export interface StoreHarness {
	/** Another user of the same store. */
	open(limits?: StoreLimits): Promise<DurableStore>;
	close(store: DurableStore): Promise<void>;
	/** Lets time pass in the store. */
	later(ms: number): Promise<void>;
	/** Removes what has expired, and measures. */
	sweep(store: DurableStore): Promise<void>;
}

const metaTtlMs = 3_600_000;

export function message(text: string, more: Partial<Storing> = {}): Storing {
	const history = { size: 5, ttlMs: 60_000, metaTtlMs };
	return { kind: RecordKind.text, data: Buffer.from(text), senderId: 0, senderLife: 0, history, ...more };
}

const all = Number.MAX_SAFE_INTEGER;
const texts = async (store: DurableStore, channel: string, after = 0) =>
	(await store.read(channel, after, all, 100)).map(({ offset, data }) => `${offset} ${Buffer.from(data).toString()}`);

/** What every durable store must do. @param harness a new, empty store for each test. */
export function storeContract(harness: () => StoreHarness): void {
	describe("contract", () => {
		it("keeps the newest publications with info and tags, their epoch and the positions when it is opened again", async () => {
			const store = await harness().open();
			const info = Buffer.from("who");
			for (let index = 0; index < 7; index++) await store.publish("c\0ü", message(`m${index}`, { tags: { index: String(index) }, info }));
			const before = store.channel("c\0ü")!;
			const { epoch0 } = before;
			await store.positions.begin("u", "c\0ü", "k", { offset: 3, epoch: "e" }, 60_000);
			expect(store.positions.acknowledge("u", "c\0ü", "k", { offset: 6, epoch: "e" })).toBe("acknowledged");
			await harness().close(store);
			const again = await harness().open();
			expect(await again.open("c\0ü", metaTtlMs)).toEqual({ ...before, last: 8, first: 4 });
			expect(await texts(again, "c\0ü")).toEqual(["4 m2", "5 m3", "6 m4", "7 m5", "8 m6"]);
			const [found] = await again.read("c\0ü", 7, 8, 1);
			expect([found!.tags, Buffer.from(found!.info!).toString()]).toEqual([{ index: "6" }, "who"]);
			expect(await again.positions.look("u", "c\0ü", "k")).toEqual({ offset: 6, epoch: "e" });
			expect(await again.publish("c\0ü", message("next"))).toMatchObject({ offset: 9, channel: { epoch0 } });
			expect((await again.readReverse("c\0ü", 8, 2)).map(({ offset }) => offset)).toEqual([7, 6]);
			expect(
				(await again.readLate("c\0ü", 1, 3)).map(({ offset }) => offset),
				"older than the history",
			).toEqual([2, 3, 4]);
		});

		it("two users of one store get one order without a gap, also when they write to several channels at once", async () => {
			const stores = [await harness().open(), await harness().open()];
			const history = { size: 100, ttlMs: 60_000, metaTtlMs: 60_000 };
			const published = await Promise.all(
				Array.from({ length: 120 }, async (_, index) => {
					const channel = "ab"[Math.floor(index / 2) % 2]!;
					return { channel, outcome: await stores[index % 2]!.publish(channel, message(`m${index}`, { history })) };
				}),
			);
			for (const name of ["a", "b"]) {
				const offsets = published.flatMap(({ channel, outcome }) => (channel === name && outcome !== "full" ? [outcome.offset] : []));
				expect(offsets.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, index) => index + 2));
				expect(await texts(stores[0]!, name)).toEqual(await texts(stores[1]!, name));
				expect(await texts(stores[0]!, name)).toHaveLength(60);
			}
		});

		it("a key used before gives the same offset, until its time is up", async () => {
			const store = await harness().open();
			const once = message("a", { idempotency: { key: "k", ttlMs: 60_000 } });
			const [first, second] = await Promise.all([store.publish("c", once), store.publish("c", once)]);
			expect([first, second]).toMatchObject([
				{ offset: 2, duplicate: false },
				{ offset: 2, duplicate: true },
			]);
			expect(await store.publish("other", once)).toMatchObject({ offset: 2, duplicate: false });
			await harness().later(60_001);
			expect(await store.publish("c", once)).toMatchObject({ offset: 3, duplicate: false });
		});

		it("a key may be of any length and have any characters; it does not disturb the publications of others", async () => {
			const store = await harness().open();
			const long = randomBytes(5000).toString("base64");
			const keys = [long, `${long.slice(0, -1)}!`, "\0", "\ud800", ""];
			const publish = () => Promise.all(keys.map((key) => store.publish("c", message("a", { idempotency: { key, ttlMs: 60_000 } }))));
			const [first, others] = [await publish(), await Promise.all([publish(), store.publish("c", message("b"))])];
			expect(first.map((outcome) => outcome !== "full" && outcome.offset)).toEqual([2, 3, 4, 5, 6]);
			expect(others[0].map((outcome) => outcome !== "full" && outcome.duplicate)).toEqual([true, true, true, true, true]);
			expect(others[1]).toMatchObject({ offset: 7 });
		});

		it("expired publications are not read, and are swept; offset and epoch go on until their own time is up", async () => {
			const store = await harness().open();
			await store.publish("c", message("a"));
			const { epoch0 } = store.channel("c")!;
			await harness().later(60_001);
			expect(await texts(store, "c")).toEqual([]);
			await harness().sweep(store);
			expect(await store.readLate("c", 0, 10), "what is left of it").toEqual([]);
			expect(await store.publish("c", message("b"))).toMatchObject({ offset: 3, channel: { epoch0 } });
			expect(await texts(store, "c")).toEqual(["3 b"]);
			await harness().later(metaTtlMs + 1);
			await harness().sweep(store);
			await harness().sweep(store);
			expect(await store.publish("c", message("c")), "a new life of the channel").toMatchObject({ offset: 2 });
			expect(store.channel("c")!.epoch0).not.toBe(epoch0);
		});

		it("a position only moves forward, within its epoch, and is bounded in number and time", async () => {
			const store = await harness().open({ positionsMax: 1 });
			const { positions } = store;
			expect(await positions.begin("u", "c", "k", { offset: 5, epoch: "e" }, 60_000)).toEqual({ offset: 5, epoch: "e" });
			expect(await positions.begin("u", "c", "other", { offset: 5, epoch: "e" }, 60_000)).toBeNull();
			expect(positions.acknowledge("u", "c", "k", { offset: 7, epoch: "e" })).toBe("acknowledged");
			positions.acknowledge("u", "c", "k", { offset: 6, epoch: "e" });
			expect(positions.of("u", "c", "k"), "before it is written").toEqual({ offset: 7, epoch: "e" });
			await positions.flush();
			expect(await positions.look("u", "c", "k")).toEqual({ offset: 7, epoch: "e" });
			expect(positions.acknowledge("u", "c", "k", { offset: 9, epoch: "f" })).toBe("epoch");
			expect(positions.acknowledge("u", "c", "nobody", { offset: 9, epoch: "e" })).toBe("none");
			expect(await positions.begin("u", "c", "k", { offset: 50, epoch: "e" }, 60_000), "it is there").toEqual({ offset: 7, epoch: "e" });
			await positions.jump("u", "c", "k", { offset: 3, epoch: "f" });
			expect(await positions.look("u", "c", "k"), "after a loss").toEqual({ offset: 3, epoch: "f" });
			// Also the renewal by `begin`, which would come after the time has passed.
			await positions.flush();
			await harness().later(60_001);
			expect(await positions.look("u", "c", "k")).toBeNull();
			expect(await positions.begin("u", "c", "k", { offset: 50, epoch: "g" }, 60_000), "begins again").toEqual({ offset: 50, epoch: "g" });
			await harness().later(60_001);
			await harness().sweep(store);
			await harness().sweep(store);
			expect(positions.count).toBe(0);
		});

		it("a position that is renewed outlives its time, and one that is removed is gone", async () => {
			const store = await harness().open();
			const { positions } = store;
			await positions.begin("u", "c", "k", { offset: 5, epoch: "e" }, 60_000);
			// A store that goes by its own clock has 6 s left for what comes next.
			await harness().later(54_000);
			await positions.renew("u", "c", "k");
			await positions.flush();
			await harness().later(54_000);
			expect(await positions.look("u", "c", "k")).toEqual({ offset: 5, epoch: "e" });
			await positions.remove("u", "c", "k");
			expect([await positions.look("u", "c", "k"), positions.of("u", "c", "k")]).toEqual([null, null]);
		});

		it("another process's older acknowledgement or renewal does not move a position back", async () => {
			const [one, other] = [await harness().open(), await harness().open()];
			for (const { positions } of [one, other]) await positions.begin("u", "c", "k", { offset: 1, epoch: "e" }, 60_000);
			one.positions.acknowledge("u", "c", "k", { offset: 9, epoch: "e" });
			other.positions.acknowledge("u", "c", "k", { offset: 4, epoch: "e" });
			await one.positions.flush();
			await other.positions.flush();
			expect(await other.positions.look("u", "c", "k")).toEqual({ offset: 9, epoch: "e" });
			one.positions.acknowledge("u", "c", "k", { offset: 12, epoch: "e" });
			await one.positions.flush();
			await harness().later(30_000);
			await other.positions.renew("u", "c", "k");
			await other.positions.flush();
			expect(await other.positions.look("u", "c", "k")).toEqual({ offset: 12, epoch: "e" });
			await other.positions.jump("u", "c", "k", { offset: 3, epoch: "f" });
			await harness().later(30_000);
			await one.positions.renew("u", "c", "k");
			await one.positions.flush();
			expect(await other.positions.look("u", "c", "k"), "the other still has the former epoch").toEqual({ offset: 3, epoch: "f" });
		});

		it("refuses publications, and loses none, when it has its largest size", async () => {
			const store = await harness().open({ bytesMax: 200_000 });
			let taken = 0;
			for (let index = 0; index < 20; index++) {
				if ((await store.publish(`c${index}`, message("x".repeat(30_000)))) !== "full") taken++;
				await harness().sweep(store);
			}
			expect(taken).toBeGreaterThan(2);
			expect(taken).toBeLessThan(10);
			for (let index = 0; index < taken; index++) expect(await texts(store, `c${index}`)).toHaveLength(1);
		});
	});
}

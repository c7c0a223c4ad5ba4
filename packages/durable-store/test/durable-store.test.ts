import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RecordKind } from "@shardcast/wire";
import { afterEach, describe, expect, it } from "vitest";
import { DurableStore, type Storing } from "../src/index.ts";

let folder = mkdtempSync(join(tmpdir(), "store-"));
const opened: DurableStore[] = [];
let nowMs = 1_000_000;

afterEach(async () => {
	await Promise.all(opened.splice(0).map((store) => store.close()));
	rmSync(folder, { recursive: true });
	folder = mkdtempSync(join(tmpdir(), "store-"));
});

function openStore({ bytesMax = 1e9, positionsMax = 10 } = {}): DurableStore {
	const store = DurableStore.open({ folder, bytesMax: () => bytesMax, positionsMax: () => positionsMax, nowMs: () => nowMs });
	opened.push(store);
	return store;
}

function message(text: string, more: Partial<Storing> = {}): Storing {
	const history = { size: 5, ttlMs: 60_000, metaTtlMs: 3_600_000 };
	return { kind: RecordKind.text, data: Buffer.from(text), senderId: 0, senderLife: 0, history, ...more };
}

const texts = (store: DurableStore, channel: string, after = 0) =>
	store.read(channel, after, Number.MAX_SAFE_INTEGER, 100).map(({ offset, data }) => `${offset} ${Buffer.from(data).toString()}`);

describe("durable store", () => {
	it("keeps the newest publications with info and tags, their epoch and the positions when it is opened again", async () => {
		const store = openStore();
		for (let index = 0; index < 7; index++) await store.publish("c", message(`m${index}`, { tags: { index: String(index) } }));
		const before = store.channel("c")!;
		const { epoch0 } = before;
		await store.positions.begin("u", "c", "k", { offset: 3, epoch: "e" }, 60_000);
		expect(store.positions.acknowledge("u", "c", "k", { offset: 6, epoch: "e" })).toBe("acknowledged");
		await opened.pop()!.close();
		const again = openStore();
		expect(again.channel("c")).toEqual({ ...before, last: 8, first: 4 });
		expect(texts(again, "c")).toEqual(["4 m2", "5 m3", "6 m4", "7 m5", "8 m6"]);
		expect(again.read("c", 7, 8, 1)[0]).toMatchObject({ tags: { index: "6" } });
		expect(again.positions.of("u", "c", "k")).toEqual({ offset: 6, epoch: "e" });
		expect(await again.publish("c", message("next"))).toMatchObject({ offset: 9, channel: { epoch0 } });
	});

	it("two users of one file get one order without a gap, also when they write at once", async () => {
		const stores = [openStore(), openStore()];
		const published = await Promise.all(
			Array.from({ length: 60 }, (_, index) =>
				stores[index % 2]!.publish("c", message(`m${index}`, { history: { size: 100, ttlMs: 60_000, metaTtlMs: 60_000 } })),
			),
		);
		const offsets = published.map((each) => (each === "full" ? 0 : each.offset)).sort((a, b) => a - b);
		expect(offsets).toEqual(Array.from({ length: 60 }, (_, index) => index + 2));
		expect(texts(stores[0]!, "c")).toEqual(texts(stores[1]!, "c"));
		expect(texts(stores[0]!, "c")).toHaveLength(60);
	});

	it("a key used before gives the same offset, until its time is up", async () => {
		const store = openStore();
		const once = message("a", { idempotency: { key: "k", ttlMs: 1000 } });
		const [first, second] = await Promise.all([store.publish("c", once), store.publish("c", once)]);
		expect([first, second]).toMatchObject([
			{ offset: 2, duplicate: false },
			{ offset: 2, duplicate: true },
		]);
		nowMs += 1001;
		expect(await store.publish("c", once)).toMatchObject({ offset: 3, duplicate: false });
	});

	it("expired publications are not read, and are swept; offset and epoch go on until their own time is up", async () => {
		const store = openStore();
		await store.publish("c", message("a"));
		nowMs += 60_001;
		expect(texts(store, "c")).toEqual([]);
		await store.sweep();
		expect(await store.publish("c", message("b"))).toMatchObject({ offset: 3 });
		expect(texts(store, "c")).toEqual(["3 b"]);
		nowMs += 3_600_001;
		await store.sweep();
		await store.sweep();
		expect(store.channel("c")).toBeNull();
	});

	it("a position only moves forward, within its epoch, and is bounded in number and time", async () => {
		const store = openStore({ positionsMax: 1 });
		const { positions } = store;
		expect(await positions.begin("u", "c", "k", { offset: 5, epoch: "e" }, 1000)).toEqual({ offset: 5, epoch: "e" });
		expect(await positions.begin("u", "c", "other", { offset: 5, epoch: "e" }, 1000)).toBeNull();
		expect(positions.acknowledge("u", "c", "k", { offset: 7, epoch: "e" })).toBe("acknowledged");
		positions.acknowledge("u", "c", "k", { offset: 6, epoch: "e" });
		await positions.flush();
		expect(positions.of("u", "c", "k")).toEqual({ offset: 7, epoch: "e" });
		expect(positions.acknowledge("u", "c", "k", { offset: 9, epoch: "f" })).toBe("epoch");
		expect(positions.acknowledge("u", "c", "nobody", { offset: 9, epoch: "e" })).toBe("none");
		nowMs += 1001;
		expect(positions.of("u", "c", "k")).toBeNull();
		await positions.sweep();
		expect(positions.count).toBe(0);
	});

	it("another process's older acknowledgement does not move a position back", async () => {
		const [one, other] = [openStore(), openStore()];
		await one.positions.begin("u", "c", "k", { offset: 1, epoch: "e" }, 60_000);
		one.positions.acknowledge("u", "c", "k", { offset: 9, epoch: "e" });
		other.positions.acknowledge("u", "c", "k", { offset: 4, epoch: "e" });
		await one.positions.flush();
		await other.positions.flush();
		expect(one.positions.of("u", "c", "k")).toEqual({ offset: 9, epoch: "e" });
	});

	it("refuses publications, and loses none, when it has its largest size", async () => {
		const store = openStore({ bytesMax: 200_000 });
		let taken = 0;
		for (let index = 0; index < 20; index++) {
			if ((await store.publish(`c${index}`, message("x".repeat(30_000)))) !== "full") taken++;
			await store.sweep();
		}
		expect(taken).toBeGreaterThan(2);
		expect(taken).toBeLessThan(10);
		for (let index = 0; index < taken; index++) expect(texts(store, `c${index}`)).toHaveLength(1);
	});

	it("a file that is no store, a torn one and an unusable folder each get an error that names the fix", async () => {
		const file = join(folder, "data.mdb");
		writeFileSync(file, Buffer.alloc(20_000, 7));
		expect(() => openStore()).toThrow(/data\.mdb cannot be read: it is not an LMDB file; restore it from a backup, or move it away/);
		rmSync(file);
		await openStore().publish("c", message("x".repeat(100_000)));
		await opened.pop()!.close();
		truncateSync(file, 20_480);
		expect(() => openStore()).toThrow(/it has 20480 bytes of \d+; restore/);
		rmSync(folder, { recursive: true });
		writeFileSync(folder, "a file");
		expect(() => openStore()).toThrow(
			/the folder of the durable store, .* cannot be used \(EEXIST\); set channel.durable_store.path to a folder/,
		);
	});
});

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "@shardcast/telemetry";
import { FakeRevocationDatabase } from "@shardcast/testkit";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { RevocationChange } from "../src/revocations/revocation-file.ts";
import { RevocationStore } from "../src/revocations/revocation-store.ts";

const block = (id: string, until?: number): RevocationChange => ({ add: { kind: "user", id, ...(until !== undefined && { until }) } });
const unblock = (id: string): RevocationChange => ({ remove: { kind: "user", id } });
const ids = ({ list }: RevocationStore) =>
	list
		.map(({ id }) => id)
		.toSorted()
		.join(" ");

describe("blocked users and revoked tokens in a database", () => {
	let database: FakeRevocationDatabase;
	const stores: RevocationStore[] = [];
	beforeEach(() => {
		database = new FakeRevocationDatabase();
	});
	afterEach(() => {
		for (const store of stores.splice(0)) store.stop();
	});
	async function open(folder = "", changed: () => void = () => {}, waitMs = 10_000): Promise<RevocationStore> {
		const store = new RevocationStore({ folder, database, log: silentLog() });
		stores.push(store);
		await store.start(waitMs, changed);
		return store;
	}

	it("are there when a change is answered, and are in force after a restart", async () => {
		const store = await open();
		expect(await store.change(block("ann", 4_000_000_000))).toBe("kept");
		await Promise.all([store.change(block("bob")), store.change(block("eve")), store.change(unblock("eve"))]);
		expect(database.ids).toBe("ann bob");
		const tokens: RevocationChange[] = [
			{ add: { kind: "token", id: "t1", until: 4_000_000_000 } },
			{ add: { kind: "user_tokens", id: "ann", before: 1_700_000_000, until: 4_000_000_000 } },
		];
		for (const change of tokens) expect(await store.change(change)).toBe("kept");
		expect((await open()).list).toEqual([
			{ kind: "user", id: "ann", until: 4_000_000_000 },
			{ kind: "user", id: "bob" },
			...tokens.flatMap((change) => ("add" in change ? [change.add] : [])),
		]);
	});

	it("are taken over from the folder when the database is used for the first time, and never again", async () => {
		const folder = mkdtempSync(join(tmpdir(), "shardcast-"));
		await new RevocationStore({ folder, log: silentLog() }).change(block("ann"));
		const store = await open(folder);
		expect([ids(store), database.ids]).toEqual(["ann", "ann"]);
		await store.change(unblock("ann"));
		expect([ids(await open(folder)), database.ids], "the folder still has it").toEqual(["", ""]);
		rmSync(folder, { recursive: true });
	});

	it("a change that could not be written says so, and is written when the database is back", async () => {
		const store = await open();
		await store.change(block("ann"));
		database.isAway = true;
		expect(await store.change(block("bob"))).toBe("unwritten");
		expect(await store.change(unblock("ann"))).toBe("unwritten");
		expect([ids(store), database.ids]).toEqual(["bob", "ann"]);
		database.back();
		await vi.waitFor(() => expect(database.ids).toBe("bob"), { timeout: 8_000, interval: 1 });
	});

	it("a change that the database refused, and whose connection stays, is written when the database accepts it", async () => {
		const store = await open();
		database.isAway = true;
		vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
		try {
			expect(await store.change(block("ann"))).toBe("unwritten");
			database.isAway = false;
			await vi.advanceTimersByTimeAsync(2000);
			expect(database.ids).toBe("ann");
		} finally {
			vi.useRealTimers();
		}
	});

	it("a change while the list is read for the first time does not make the folder forgotten", async () => {
		const folder = mkdtempSync(join(tmpdir(), "shardcast-"));
		await new RevocationStore({ folder, log: silentLog() }).change(block("ann"));
		let read: () => void = () => {};
		const reading = new Promise<void>((resolve) => (read = resolve));
		const load = database.load.bind(database);
		database.load = async () => {
			await reading;
			return load();
		};
		const store = await open(folder, () => {}, 1);
		const changing = store.change(block("bob"));
		read();
		expect(await changing).toBe("kept");
		expect([ids(store), database.ids]).toEqual(["ann bob", "ann bob"]);
		rmSync(folder, { recursive: true });
	});

	it("a database that is reached after the start brings its list, and what was changed meanwhile stays", async () => {
		await (await open()).change(block("ann"));
		await stores[0]!.change(block("cat"));
		database.isAway = true;
		let changes = 0;
		const store = await open("", () => void changes++, 1);
		expect(ids(store)).toBe("");
		await store.change(unblock("ann"));
		await store.change(block("bob"));
		database.back();
		await vi.waitFor(() => expect(database.ids).toBe("bob cat"), { timeout: 8_000, interval: 1 });
		expect([ids(store), changes]).toEqual(["bob cat", 1]);
	});

	it("a store that is stopped while it reads the list does not try again", async () => {
		vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
		try {
			let fail: (error: Error) => void = () => {};
			database.load = () => new Promise((_, reject) => (fail = reject));
			const opening = open("", () => {}, 1);
			await vi.advanceTimersByTimeAsync(1);
			(await opening).stop();
			fail(new Error("the connection is closed"));
			await vi.advanceTimersByTimeAsync(0);
			expect(vi.getTimerCount(), "timers that keep the process").toBe(0);
		} finally {
			vi.useRealTimers();
		}
	});

	it("an entry that is invalid is left out", async () => {
		await (await open()).change(block("ann"));
		database.rows.set("x", { key: "x", entry: '{"kind":"king","id":"x"}', until: null, epoch: "", version: 0 });
		expect(ids(await open())).toBe("ann");
	});
});

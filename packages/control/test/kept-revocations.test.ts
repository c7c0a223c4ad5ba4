import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RevocationStore, type RevocationStoreParts } from "../src/revocations/revocation-store.ts";
import type { Revocation } from "../src/revocations/revocations.ts";

let folder: string;
let path: string;
let errors: string[];
let infos: string[];
let log: RevocationStoreParts["log"];

beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), "shardcast-"));
	path = join(folder, "revocations");
	// Of this test alone: a store of the one before may still be writing into a folder that is gone.
	const [ownErrors, ownInfos]: [string[], string[]] = [[], []];
	[errors, infos] = [ownErrors, ownInfos];
	log = {
		error: (_fields: unknown, text?: string) => void ownErrors.push(text ?? String(_fields)),
		info: (text: unknown) => void ownInfos.push(String(text)),
	} as never;
});
afterEach(() => {
	rmSync(folder, { recursive: true });
});

/** As the next process finds it: what is in the file now. */
const next = () => new RevocationStore({ folder, log });
const user = (id: string, until?: number): Revocation => ({ kind: "user", id, ...(until !== undefined && { until }) });
const ids = ({ list }: RevocationStore) => list.map(({ id }) => id).toSorted();

describe("blocked users and revoked tokens", () => {
	it("are on the disk when the change is answered, however many come together", async () => {
		const kept = next();
		const token: Revocation = { kind: "token", id: "t ü\n", until: 4_000_000_000 };
		expect(await kept.change({ add: token })).toBe("kept");
		expect(next().list, "what a process finds that starts after a kill -9").toEqual([token]);
		const changes = Array.from({ length: 50 }, (_, index) => kept.change({ add: user(`u${index}`) }));
		await Promise.all([...changes, kept.change({ remove: { kind: "user", id: "u7" } })]);
		expect(next().list).toHaveLength(50);
		expect(ids(next())).not.toContain("u7");
		expect(errors).toEqual([]);
	});

	it("that have expired are not read, and the file does not grow with changes that are out of date", async () => {
		const kept = next();
		await kept.change({ add: user("old", 1) });
		const bytes: number[] = [];
		for (let round = 0; round < 4; round++) {
			await Promise.all(Array.from({ length: 500 }, () => kept.change({ add: user("ann") })));
			bytes.push(readFileSync(path).length);
		}
		expect(Math.max(...bytes), "bytes of the file").toBeLessThan(1200 * 70);
		expect(ids(next())).toEqual(["ann"]);
	});

	it("a line that was cut off by the end of the process was not answered, and does not spoil the next", async () => {
		await next().change({ add: user("ann") });
		writeFileSync(path, readFileSync(path, "utf8").concat('0123456789abcdef {"add'));
		const kept = next();
		expect(ids(kept)).toEqual(["ann"]);
		await kept.change({ add: user("bob") });
		expect([ids(next()), errors]).toEqual([["ann", "bob"], []]);
	});

	it("a damaged file is told, copied and written again, and what can be read of it holds", async () => {
		const kept = next();
		for (const id of ["ann", "bob", "cat"]) await kept.change({ add: user(id) });
		const damaged = readFileSync(path, "utf8").replace('"bob"', '"bib"');
		writeFileSync(path, damaged);
		expect(ids(next())).toEqual(["ann", "cat"]);
		expect(errors).toEqual([expect.stringMatching(/^.*revocations is damaged: 1 lines cannot be read, 2 can\./)]);
		expect(readFileSync(`${path}.damaged`, "utf8")).toBe(damaged);
		await vi.waitFor(() => expect(readFileSync(path, "utf8")).not.toContain("bib"), { timeout: 8_000, interval: 5 });
		expect([ids(next()), errors.length], "after it was written again").toEqual([["ann", "cat"], 1]);
	});

	it.each([
		["nothing", ""],
		["another file", "key: value\nkey: value\n"],
		["bytes", "\u0000\uffff\u0000"],
	])("a file with %s in it is damaged, and does not keep the server from starting", async (_what, text) => {
		writeFileSync(path, text);
		const kept = next();
		expect([kept.list, errors.length]).toEqual([[], 1]);
		await kept.change({ add: user("ann") });
		expect([ids(next()), errors.length]).toEqual([["ann"], 1]);
	});

	it("cannot be kept in a folder that is none: whoever opens the durable store there tells that first, and they are in force", async () => {
		writeFileSync(path, "");
		const kept = new RevocationStore({ folder: path, log });
		expect(errors).toEqual([]);
		expect(await kept.change({ add: user("ann") })).toBe("unwritten");
		expect(errors).toEqual([expect.stringContaining("could not be written to")]);
		expect(ids(kept)).toEqual(["ann"]);
	});

	it("a file that cannot be read is told", () => {
		mkdirSync(path);
		expect([next().list, errors]).toEqual([[], [expect.stringContaining("cannot be read (EISDIR)")]]);
	});

	it("a write that fails is told; the next that succeeds writes all", async () => {
		const kept = next();
		await kept.change({ add: user("ann") });
		rmSync(path);
		mkdirSync(path);
		expect(await kept.change({ add: user("bob") })).toBe("unwritten");
		rmSync(path, { recursive: true });
		expect(await kept.change({ add: user("cat") })).toBe("kept");
		expect(ids(next())).toEqual(["ann", "bob", "cat"]);
	});

	it("without a folder hold until the process ends; that is told once", async () => {
		const kept = new RevocationStore({ folder: "", log });
		expect(await kept.change({ add: user("ann") })).toBe("kept");
		expect(await kept.change({ remove: { kind: "user", id: "ann" } })).toBe("kept");
		expect(infos).toEqual([expect.stringContaining("until this server ends; to keep them, name a folder with channel.durable_store.path")]);
		expect(existsSync(path)).toBe(false);
	});

	it("without a folder, but in Redis, they do not end with the process, and the log does not say so", async () => {
		const shared = new RevocationStore({ folder: "", isShared: true, log });
		expect(await shared.change({ add: user("ann") })).toBe("kept");
		expect(infos).toEqual([]);
	});
});

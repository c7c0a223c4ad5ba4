import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { EmbeddedStore } from "../src/index.ts";
import { message, storeContract } from "./store-contract.ts";

let folder = mkdtempSync(join(tmpdir(), "store-"));
const opened: EmbeddedStore[] = [];
let nowMs = 1_000_000;

afterEach(async () => {
	await Promise.all(opened.splice(0).map((store) => store.close()));
	rmSync(folder, { recursive: true });
	folder = mkdtempSync(join(tmpdir(), "store-"));
});

function openStore({ bytesMax = 1e9, positionsMax = 10 } = {}): EmbeddedStore {
	const store = EmbeddedStore.open({ folder, bytesMax: () => bytesMax, positionsMax: () => positionsMax, nowMs: () => nowMs });
	opened.push(store);
	return store;
}

describe("embedded store", () => {
	storeContract(() => ({
		open: async (limits) => openStore(limits),
		close: async (store) => {
			opened.splice(opened.indexOf(store as EmbeddedStore), 1);
			await store.close();
		},
		later: async (ms) => {
			nowMs += ms;
		},
		sweep: (store) => store.sweep(),
	}));

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

import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SharedMemoryUse } from "../src/shared-memory-use.ts";

let folder: string;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), "shardcast-shm-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Adds a file of the cluster. @returns the bytes that it takes. */
function add(name: string): number {
	const path = join(folder, name);
	writeFileSync(path, Buffer.alloc(300_000, 1));
	return statSync(path).blocks * 512;
}

describe("shared memory that others use", () => {
	it("does not change when the cluster itself takes more or gives some back, as when shards are added", () => {
		const room = { blocks: 1000, bsize: 1000, usedBytes: 0 };
		const measure = () => ({ blocks: room.blocks, bsize: room.bsize, bfree: room.blocks - Math.ceil(room.usedBytes / room.bsize) });
		const use = new SharedMemoryUse(folder, measure);
		expect(use.read()).toBe(0);
		room.usedBytes += add("ring-0");
		room.usedBytes += add("ring-1");
		expect(use.read(), "two rings more").toBeLessThan(1);
		room.usedBytes += 200_000;
		expect(use.read(), "half of the rest is taken by others").toBeGreaterThan(45);
		rmSync(join(folder, "ring-1"));
		room.usedBytes -= 300_000;
		expect(use.read(), "and one ring less").toBeLessThan(35);
	});
});

import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { formatStorage } from "../src/kafka/storage.ts";

/** With a program instead of the broker's tool. */
describe("the storage of brokers for tests", () => {
	let folder: string;
	beforeEach(() => {
		folder = mkdtempSync(join(tmpdir(), "kafka-storage-"));
		mkdirSync(join(folder, "bin"));
		mkdirSync(join(folder, "cache"));
		writeFileSync(
			join(folder, "bin", "java"),
			`#!/bin/sh\necho features >"$STORAGE/bootstrap.checkpoint"\necho by-the-tool >"$STORAGE/meta.properties"\n`,
		);
		chmodSync(join(folder, "bin", "java"), 0o755);
		vi.stubEnv("PATH", `${join(folder, "bin")}:${process.env.PATH}`);
	});
	afterEach(() => {
		vi.unstubAllEnvs();
		rmSync(folder, { recursive: true, force: true });
	});

	async function format(name: string, jars = join(folder, "cache", "jars"), scram: readonly string[] = []): Promise<string[]> {
		const directory = join(folder, name);
		mkdirSync(directory);
		vi.stubEnv("STORAGE", directory);
		await formatStorage({ jars, jvmFlags: [], propertiesPath: "none", directory, scram });
		return ["bootstrap.checkpoint", "meta.properties"].map((file) => readFileSync(join(directory, file), "utf8"));
	}

	it("is made by the tool once, and then from what is kept of it, with other ids each time", async () => {
		expect(await format("a")).toEqual(["features\n", "by-the-tool\n"]);
		const [features, ids] = await format("b");
		expect(features).toBe("features\n");
		expect(ids).toMatch(/^version=1\nnode\.id=1\ncluster\.id=[0-9a-f]{22}\ndirectory\.id=[0-9a-f]{22}\n$/);
		expect(await format("c")).not.toContain(ids);
		expect(readdirSync(join(folder, "cache"))).toEqual(["jars.checkpoint"]);
	});

	it("with users is made by the tool, and not kept", async () => {
		expect(await format("a", undefined, ["a user"])).toEqual(["features\n", "by-the-tool\n"]);
		expect(readdirSync(join(folder, "cache"))).toEqual([]);
	});

	it("is there although nothing can be kept, as in a cache that is another user's", async () => {
		const jars = join(folder, "missing", "jars");
		expect(await format("a", jars)).toEqual(["features\n", "by-the-tool\n"]);
		expect(existsSync(join(folder, "missing"))).toBe(false);
	});
});

import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ownedPrefix, removeLeftovers } from "../src/kafka/leftovers.ts";
import { ManagedProcess } from "../src/processes/managed-process.ts";
import { identify } from "../src/processes/proc.ts";

let base: string;
beforeEach(() => {
	base = mkdtempSync(join(tmpdir(), "leftovers-"));
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

/** A broker's directory as its maker makes it, with something in it. */
function directoryOf(maker: string): string {
	const path = mkdtempSync(join(base, maker));
	mkdirSync(join(path, "log"));
	writeFileSync(join(path, "log/segment"), "records");
	return path;
}

describe("directories of killed brokers", () => {
	it("are removed once their maker is dead, and only those", async () => {
		const maker = await ManagedProcess.start(join(import.meta.dirname, "programs/child.mjs"), ["polite"]);
		const { pid, startTicks } = identify(maker.pid);
		const ofMaker = directoryOf(`shardcast-kafka-${pid}-${startTicks}-`);
		const ofItsNumber = directoryOf(`shardcast-kafka-${pid}-${startTicks - 1}-`);
		const own = directoryOf(ownedPrefix());
		const others = [directoryOf("shardcast-kafka-"), directoryOf("other-1-1-")];
		expect(removeLeftovers(base)).toEqual([ofItsNumber]);
		await maker.stop("SIGKILL");
		expect(removeLeftovers(base)).toEqual([ofMaker]);
		for (const path of [own, ...others]) expect(existsSync(join(path, "log/segment")), path).toBe(true);
	});

	it("stay while a broker that was to outlive its maker runs on them", async () => {
		const path = directoryOf("shardcast-kafka-1-1-");
		const broker = await ManagedProcess.start(join(import.meta.dirname, "programs/child.mjs"), ["polite", join(path, "server.properties")]);
		await broker.waitForOutput(/polite/, 5_000);
		expect(removeLeftovers(base)).toEqual([]);
		await broker.stop();
		expect(removeLeftovers(base)).toEqual([path]);
	});

	it("are not looked for behind links", () => {
		const elsewhere = directoryOf("elsewhere-");
		symlinkSync(elsewhere, join(base, "shardcast-kafka-1-1-link"));
		expect(removeLeftovers(base)).toEqual([]);
		expect(existsSync(join(elsewhere, "log/segment"))).toBe(true);
	});
});

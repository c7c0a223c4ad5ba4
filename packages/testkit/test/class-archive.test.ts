import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { classArchiveFlags, fastStartFlags } from "../src/kafka/class-archive.ts";

let scratch: string;
beforeEach(() => {
	scratch = mkdtempSync(join(tmpdir(), "class-archive-"));
});
afterEach(() => rmSync(scratch, { recursive: true }));

describe("the archive of a broker's classes", () => {
	/** As the JVM does it at its end. */
	const dump = async (flags: readonly string[]) => writeFileSync(flags.at(-1)!.replace("-XX:ArchiveClassesAtExit=", ""), "classes");

	it("is made once for each build of Java, beside the jars, and used from then on", async () => {
		const jars = join(scratch, "kafka");
		const dumps = vi.fn(dump);
		const first = await classArchiveFlags(jars, "17.0.1", dumps);
		expect(first).toEqual([...fastStartFlags, expect.stringMatching(/^-XX:SharedArchiveFile=.*\/kafka-[0-9a-f]{12}\.jsa$/)]);
		expect(await classArchiveFlags(jars, "17.0.1", dumps)).toEqual(first);
		expect(dumps).toHaveBeenCalledTimes(1);
		const other = await classArchiveFlags(jars, "21", dumps);
		expect(other).not.toEqual(first);
		expect(readdirSync(scratch)).toHaveLength(2);
	});

	it.each([
		["the broker does not start", () => Promise.reject(new Error("no memory"))],
		["the JVM writes nothing", () => Promise.resolve()],
	])("when %s the broker starts without one, and why is said", async (_, fails) => {
		const said = vi.spyOn(process.stderr, "write").mockReturnValue(true);
		expect(await classArchiveFlags(join(scratch, "kafka"), "17", fails)).toEqual(fastStartFlags);
		expect(String(said.mock.calls[0]![0])).toMatch(/no archive of their classes \((no memory|ENOENT)/);
		expect(readdirSync(scratch)).toEqual([]);
	});
});

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import module from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { useCompileCache } from "../src/compile-cache.ts";

const folder = mkdtempSync(join(tmpdir(), "lazy-libraries-"));
afterAll(() => rmSync(folder, { recursive: true }));
const root = join(import.meta.dirname, "../../..");
let runs = 0;

/** The files that a program has loaded by its end. */
function loadedBy(program: string, args: readonly string[] = []): string[] {
	const coverage = join(folder, String(runs++));
	const env = { ...process.env, NODE_V8_COVERAGE: coverage };
	spawnSync(process.execPath, [join(root, program), ...args], { env, timeout: 20_000 });
	const [report] = readdirSync(coverage);
	const { result } = JSON.parse(readFileSync(join(coverage, report!), "utf8")) as { result: readonly { url: string }[] };
	return result.map(({ url }) => url).filter((url) => url.startsWith("file:"));
}

/** What an expression has as its value, as text, when a program ends. */
function atEnd(expression: string, program: string, args: readonly string[]): string | undefined {
	const said = `import module from "node:module"; process.on("exit", () => console.log(">" + ${expression}))`;
	const all = ["--import", `data:text/javascript,${encodeURIComponent(said)}`, join(root, program), ...args];
	return /^>(.*)/m.exec(spawnSync(process.execPath, all, { encoding: "utf8", timeout: 20_000 }).stdout)?.[1];
}

const librariesIn = (files: readonly string[], names: readonly string[]) =>
	names.filter((name) => files.some((file) => file.includes(`/node_modules/${name}/`)));

const needless = ["zod", "yaml", "jose", "lmdb", "kafkajs", "piscina", "prom-client", "pino-pretty"];

describe("a process loads a library when it needs it, since all processes of a cluster pay for one that each loads", () => {
	it.each(["apps/shard/dist/main.js", "apps/balancer/dist/main.js"])(
		"%s loads only what every cluster needs, in few files",
		{ tags: ["long"] },
		(program) => {
			const files = loadedBy(program);
			expect(librariesIn(files, [...needless, "commander"])).toEqual([]);
			const own = files.filter((file) => !file.includes("/node_modules/"));
			expect(own.some((file) => file.endsWith(program))).toBe(true);
			// Node takes about a millisecond for each, and there are 450 sources.
			expect(own.length).toBeLessThan(60);
		},
	);

	// Node's own library for fetch, which `import` of node:http loads as well: bundle.mjs has `require` in its place.
	it.each(["apps/shard/dist/main.js", "apps/balancer/dist/main.js", "apps/supervisor/dist/main.js"])("%s loads no undici", (program) => {
		expect(atEnd("process.moduleLoadList.filter((each) => / http$|undici/.test(each))", program, ["--help"])).toBe("NativeModule http");
	});

	it("a command loads the YAML parser only for a config file", { tags: ["long"] }, () => {
		const file = join(folder, "shardcast.yaml");
		writeFileSync(file, "shard: {batch: 7}\n");
		const check = (args: readonly string[]) =>
			librariesIn(loadedBy("apps/supervisor/dist/main.js", ["config", "check", ...args]), needless);
		expect(check([])).toEqual([]);
		expect(check(["--config", file])).toEqual(["zod", "yaml"]);
	});
});

describe("what Node has compiled is kept for the next start", () => {
	afterEach(() => vi.unstubAllEnvs());

	it("beside the program, for it and the processes that it starts", () => {
		const cache = join(root, "apps/supervisor/dist/compile-cache");
		// Node 20 cannot.
		if (!("enableCompileCache" in module)) return;
		const used = atEnd("[module.getCompileCacheDir(), process.env.NODE_COMPILE_CACHE]", "apps/supervisor/dist/main.js", [
			"--version",
		])!.split(",");
		expect(used).toEqual([expect.stringContaining(`${cache}/`), cache]);
		expect(readdirSync(used[0]!).length).toBeGreaterThan(20);
	});

	it("not where nothing can be written, and not in the way of another folder", () => {
		vi.stubEnv("NODE_COMPILE_CACHE", undefined);
		writeFileSync(join(folder, "file"), "");
		for (const none of ["/proc/none", join(folder, "no/parent"), join(folder, "file/under")]) useCompileCache(none);
		expect(process.env.NODE_COMPILE_CACHE).toBeUndefined();
		vi.stubEnv("NODE_COMPILE_CACHE", join(folder, "own"));
		useCompileCache(join(folder, "other"));
		expect(process.env.NODE_COMPILE_CACHE).toBe(join(folder, "own"));
		expect(readdirSync(folder)).not.toContain("other");
	});
});

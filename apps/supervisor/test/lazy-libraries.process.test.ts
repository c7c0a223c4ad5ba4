import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";

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

const librariesIn = (files: readonly string[], names: readonly string[]) =>
	names.filter((name) => files.some((file) => file.includes(`/node_modules/${name}/`)));

const needless = ["zod", "yaml", "jose", "lmdb", "kafkajs", "piscina", "prom-client", "pino-pretty"];

describe("a process loads a library when it needs it, since all processes of a cluster pay for one that each loads", () => {
	it.each(["apps/shard/dist/main.js", "apps/balancer/dist/main.js"])("%s loads only what every cluster needs, in few files", (program) => {
		const files = loadedBy(program);
		expect(librariesIn(files, needless)).toEqual([]);
		const own = files.filter((file) => !file.includes("/node_modules/"));
		expect(own.some((file) => file.endsWith(program))).toBe(true);
		// Node takes about a millisecond for each, and there are 450 sources.
		expect(own.length).toBeLessThan(60);
	});

	it("a command loads the YAML parser only for a config file", () => {
		const file = join(folder, "shardcast.yaml");
		writeFileSync(file, "shard: {batch: 7}\n");
		const check = (args: readonly string[]) =>
			librariesIn(loadedBy("apps/supervisor/dist/main.js", ["config", "check", ...args]), needless);
		expect(check([])).toEqual([]);
		expect(check(["--config", file])).toEqual(["zod", "yaml"]);
	});
});

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "lazy-yaml-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Whether a process that loads its options has loaded the YAML parser then. */
function loadsYaml(input: string): boolean {
	const index = JSON.stringify(join(import.meta.dirname, "../dist/index.js"));
	const program = `
import { createRequire } from "node:module";
import { loadConfig } from ${index};
loadConfig(${input});
process.stdout.write(String(Object.keys(createRequire(${index}).cache).some((path) => path.includes("/yaml/"))));`;
	return execFileSync(process.execPath, ["--input-type=module", "--eval", program], { encoding: "utf8", timeout: 20_000 }) === "true";
}

it("the YAML parser is loaded by a process that reads a config file, and by no other: every process of a cluster would pay for it", () => {
	const file = join(folder, "shardcast.yaml");
	writeFileSync(file, "shard: {batch: 7}\n");
	expect(loadsYaml("{}")).toBe(false);
	expect(loadsYaml(JSON.stringify({ file }))).toBe(true);
});

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";

const program = join(import.meta.dirname, "programs/out-of-files.mjs");

it("a process that may open no more files still measures itself, and gives its metrics once it has some again", () => {
	const { stdout, stderr } = spawnSync("/bin/sh", ["-c", 'ulimit -n 256; exec "$0" "$1"', process.execPath, program], {
		// Node reads this file in the background, and warns if it has no files any more.
		env: { ...process.env, NODE_EXTRA_CA_CERTS: "" },
		encoding: "utf8",
		timeout: 20_000,
	});
	expect(stderr).toBe("");
	const { sampled, actual, ...rest } = JSON.parse(stdout);
	expect(rest).toMatchObject({ limit: 256, refusal: "EMFILE", without: "EMFILE", afterwards: expect.any(Number) });
	expect(sampled).toBeGreaterThan(10_000_000);
	// Metrics have been loaded in between.
	expect(sampled).toBeLessThan(1.5 * actual);
	expect(sampled).toBeGreaterThan(0.5 * actual);
});

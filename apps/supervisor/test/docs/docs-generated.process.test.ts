import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { describe, it } from "vitest";

const root = join(import.meta.dirname, "../../../..");

describe("generated parts of the documentation", () => {
	it("say what the tables of options, metrics and close codes say", () => {
		// Exit status 1, with the names of the stale pages, is thrown.
		execFileSync(process.execPath, [join(root, "docs/generate.mjs"), "check"], { stdio: "pipe" });
	});
});

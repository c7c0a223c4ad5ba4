import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";

it("the loop of an idle process is measured by its heartbeats, without further wake-ups", () => {
	const said = execFileSync(process.execPath, [join(import.meta.dirname, "programs/idle.mjs")], { encoding: "utf8" });
	const { seconds, lagMs } = JSON.parse(said) as { readonly seconds: readonly number[]; readonly lagMs: number };
	expect(seconds.at(-1), `wake-ups in each second: ${seconds}`).toBeLessThan(10);
	expect(lagMs).toBeGreaterThanOrEqual(70);
});

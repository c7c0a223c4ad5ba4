import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";

it("other threads take no part in freeing ArrayBuffers", () => {
	const said = execFileSync(process.execPath, [join(import.meta.dirname, "programs/array-buffers.mjs")], { encoding: "utf8" });
	const { own, others } = JSON.parse(said) as { readonly own: number; readonly others: number };
	expect(own, "ms of the main thread").toBeGreaterThan(50);
	expect(others / own, `${others} ms of other threads, ${own} ms of the main thread`).toBeLessThan(0.1);
});

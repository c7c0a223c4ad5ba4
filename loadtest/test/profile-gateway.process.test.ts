// @module-tag long
import { join } from "node:path";
import { ManagedProcess } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";

const program = join(import.meta.dirname, "../dist/bench/gateway-profile/profile.js");
const isOldNode = Number.parseInt(process.versions.node, 10) < 22;

describe("profile:gateway", () => {
	// Node 20 makes a view for each copy of a part of a buffer.
	it.skipIf(isOldNode)(
		"a gateway process makes no object per message, but for the ArrayBuffer and the view of each that comes from a client",
		async () => {
			const run = await ManagedProcess.start(program, ["200000"]);
			expect((await run.exited).code, run.log()).toBe(0);
			type Part = "messages" | "bytesPerMessage" | "native" | "views" | "shardcast" | "others";
			const result = JSON.parse(/^\{.*\}$/m.exec(run.log())![0]) as Record<string, Record<Part, number>>;
			const [outwards, inwards] = [result["backend to client"]!, result["client to backend"]!];
			expect(Math.min(outwards.messages, inwards.messages)).toBeGreaterThanOrEqual(200_000);
			// What is left is per turn of the loop and per write. The smallest object is 16 bytes.
			expect(outwards.shardcast + outwards.views, run.log()).toBeLessThan(22);
			expect(inwards.shardcast, run.log()).toBeLessThan(22);
			// Node.js makes some hundred bytes for each write, which has many messages in it.
			expect(inwards.others, run.log()).toBeLessThan(130);
			for (const part of ["native", "views"] as const) {
				expect(inwards[part], run.log()).toBeGreaterThan(40);
				expect(inwards[part], run.log()).toBeLessThan(130);
			}
			for (const { bytesPerMessage, native, views, shardcast, others } of [outwards, inwards])
				expect(Math.abs(native + views + shardcast + others - bytesPerMessage), run.log()).toBeLessThan(0.5);
			expect(run.log()).toMatch(/^ +[\d.]+ \(V8 API\)$/m);
			expect(run.log()).toContain(
				"by native code: (V8 API). From clients, it is the ArrayBuffer that uWebSockets.js makes of each message.",
			);
		},
	);

	it("a number that makes no sense is refused", async () => {
		const run = await ManagedProcess.start(program, ["10"]);
		expect((await run.exited).code).toBe(2);
		expect(run.log()).toContain("10: not a number of messages\nusage: ");
	});
});

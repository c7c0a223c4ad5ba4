import { RevocationStore } from "@shardcast/control";
import { silentLog } from "@shardcast/telemetry";
import { expect, it } from "vitest";
import { nodeKeys } from "../src/node-keys.ts";
import { SharedRevocations } from "../src/revocations/shared-revocations.ts";

it("the list is compared with that in Redis by one run at a time, whenever it is asked for", async () => {
	const steps: string[] = [];
	const shared = new SharedRevocations({
		redis: {
			run: async () => {
				steps.push("state");
				await Promise.resolve();
				return ["epoch", 0];
			},
			send: async (_key: unknown, [command]: readonly string[]) => {
				await Promise.resolve();
				if (command === "HSCAN") return ["0", []];
				steps.push("changes");
				return [];
			},
		} as never,
		keys: nodeKeys("ws", false),
		kept: new RevocationStore({ folder: "", log: silentLog() }),
		known: { read: () => null, write: async () => undefined },
		apply: async () => 0,
		everyMs: 60_000,
		log: silentLog(),
	});
	await shared.catchUp();
	const runs: Promise<number>[] = [];
	for (let microtask = 0; microtask < 100; microtask++) {
		runs.push(shared.catchUp());
		await Promise.resolve();
	}
	await Promise.all(runs);
	expect(steps.length, "steps of several runs").toBeGreaterThan(6);
	expect(steps, "a run ends before the next one begins").toEqual(steps.map((_, index) => (index % 2 === 0 ? "state" : "changes")));
});

import { type RevocationChange, RevocationStore } from "@shardcast/control";
import { silentLog } from "@shardcast/telemetry";
import { FakeRevocationDatabase } from "@shardcast/testkit";
import { expect, it, vi } from "vitest";
import { nodeKeys } from "../src/node-keys.ts";
import { SharedRevocations } from "../src/revocations/shared-revocations.ts";

it("a change says within 5 s that it is in force on this node alone, however long Redis may take for its answers", async () => {
	vi.useFakeTimers();
	try {
		const written: string[] = [];
		const kept = new RevocationStore({ folder: "", log: silentLog() });
		const shared = new SharedRevocations({
			redis: { run: () => new Promise(() => undefined) } as never,
			keys: nodeKeys("ws", false),
			kept,
			known: { read: () => null, write: async (position) => void written.push(position) },
			apply: async () => 0,
			everyMs: 60_000,
			log: silentLog(),
		});
		shared.catchUp().catch(() => undefined);
		const outcome = shared.change({ add: { kind: "user", id: "ann" } });
		await vi.advanceTimersByTimeAsync(5000);
		expect(await Promise.race([outcome, "no outcome"])).toBe("alone");
		expect([kept.list.length, shared.pending, written]).toEqual([1, 1, [""]]);
	} finally {
		vi.useRealTimers();
	}
});

it("the list is compared with that in Redis by one run at a time, whenever it is asked for", async () => {
	const steps: string[] = [];
	const shared = new SharedRevocations({
		redis: {
			run: async () => {
				steps.push("state");
				await Promise.resolve();
				return ["epoch", 0, "run", ""];
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

it("while Redis is away, what is in PostgreSQL comes into force on the shards as soon as PostgreSQL answers, except for what was changed here meanwhile", async () => {
	vi.useFakeTimers();
	try {
		const block = (id: string): RevocationChange => ({ add: { kind: "user", id } });
		const database = new FakeRevocationDatabase();
		const other = new RevocationStore({ folder: "", database, log: silentLog() });
		await other.start(1000, () => undefined);
		for (const id of ["ann", "bob"]) await other.change(block(id));
		const kept = new RevocationStore({ folder: "", log: silentLog() });
		const applied: unknown[] = [];
		const shared = new SharedRevocations({
			redis: { run: () => Promise.reject(new Error("Redis is away")), onRestored: () => () => undefined, state: "connecting" } as never,
			keys: nodeKeys("ws", false),
			kept,
			database,
			known: { read: () => null, write: async () => undefined },
			apply: async (change) => {
				applied.push(change);
				return 0;
			},
			everyMs: 500,
			log: silentLog(),
		});
		// PostgreSQL refuses statements for a while, and keeps its connections.
		const load = database.load.bind(database);
		database.load = () => Promise.reject(new Error("canceling statement due to statement timeout"));
		const started = shared.start(1000);
		await vi.advanceTimersByTimeAsync(1000);
		await started;
		expect(await shared.change({ remove: { kind: "user", id: "ann" } })).toBe("alone");
		expect([kept.list.length, applied]).toEqual([0, []]);
		database.load = load;
		await vi.advanceTimersByTimeAsync(1000);
		expect([kept.list.map(({ id }) => id), applied]).toEqual([["bob"], ["all"]]);
		shared.stop();
		other.stop();
	} finally {
		vi.useRealTimers();
	}
});

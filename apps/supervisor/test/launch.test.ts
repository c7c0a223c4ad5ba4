import { once } from "node:events";
import { afterEach, expect, it, vi } from "vitest";
import { launch } from "../src/children/launch.ts";
import { RestartPolicy } from "../src/children/restart-policy.ts";
import { SupervisedChild } from "../src/children/supervised-child.ts";

afterEach(() => vi.unstubAllEnvs());

/** The kernel takes no variable of more than 128 KiB, and Node throws what it says. */
const spoilStart = () => vi.stubEnv("TOO_LONG", "x".repeat(200_000));

it("a process that cannot be started is an event, even where Node throws", async () => {
	spoilStart();
	const child = launch("/none.mjs", { kind: "none" });
	expect(child.pid).toBeUndefined();
	const [error] = await once(child, "error");
	expect(error).toMatchObject({ code: "E2BIG", syscall: "spawn" });
	expect(child.connected).toBe(false);
});

it("counts as a death with its reason, and ends in the crash loop's end", async () => {
	spoilStart();
	const lines: string[] = [];
	const say = (_fields: unknown, text?: string) => void lines.push(text ?? String(_fields));
	const log = { level: "info", debug: say, info: say, warn: say, error: say, child: () => log };
	const options = {
		restartBackoffMinMs: 1,
		restartBackoffMaxMs: 1,
		crashLimit: 1,
		crashWindowMs: 60_000,
		readyTimeoutMs: 60_000,
		heartbeatTimeoutMs: 60_000,
	};
	const failure = await new Promise<Error>((resolve) => {
		const spec = {
			name: "shard 0",
			launch: () => launch("/none.mjs", { kind: "none" }),
			prepare: () => ({ type: "membership" }) as never,
			lastBeatMs: () => 0,
			connections: () => 0,
			onReady: () => {},
			onDeath: () => {},
			onFailure: resolve,
			timeouts: () => options,
			policy: new RestartPolicy(() => options),
			answer: async () => null,
		};
		new SupervisedChild(spec as never, log).start();
	});
	expect(lines[0]).toBe("shard 0 could not be started (spawn E2BIG); restarting it in 1 ms");
	expect(failure.message).toContain("crash loop: shard 0 died 2 times");
});

import { expect, it } from "vitest";
import { StopSignals } from "../src/stop-signals.ts";

function setup() {
	const calls: string[] = [];
	const clock = { ms: 1000 };
	const signals = new StopSignals({
		stop: (signal) => calls.push(`stop ${signal}`),
		force: (signal) => calls.push(`force ${signal}`),
		nowMs: () => clock.ms,
	});
	return { calls, clock, signals };
}

it("the first signal stops, the second forces", () => {
	const { calls, signals } = setup();
	expect(signals.stopping).toBe(false);
	for (const signal of ["SIGTERM", "SIGTERM", "SIGINT"] as const) signals.handle(signal);
	expect(signals.stopping).toBe(true);
	expect(calls).toEqual(["stop SIGTERM", "force SIGTERM", "force SIGINT"]);
});

it("Ctrl-C under npm comes twice, and counts once; another one forces", () => {
	const { calls, clock, signals } = setup();
	signals.handle("SIGINT");
	clock.ms += 499;
	signals.handle("SIGINT");
	expect(calls).toEqual(["stop SIGINT"]);
	clock.ms += 1;
	signals.handle("SIGINT");
	expect(calls).toEqual(["stop SIGINT", "force SIGINT"]);
});

it("SIGTERM right behind Ctrl-C forces", () => {
	const { calls, signals } = setup();
	signals.handle("SIGINT");
	signals.handle("SIGTERM");
	expect(calls).toEqual(["stop SIGINT", "force SIGTERM"]);
});

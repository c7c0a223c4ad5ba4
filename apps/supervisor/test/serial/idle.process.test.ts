import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cpuMs, freePorts, ManagedProcess, wakeUps } from "@shardcast/testkit";
import { expect, it } from "vitest";

const main = join(import.meta.dirname, "../../dist/main.js");

it("an idle server sleeps: it wakes up some ten times a second, and does not spin", async () => {
	const address = `127.0.0.1:${await freePorts()}`;
	const program = await ManagedProcess.start(main, ["single", "--addr", address, "--log-format", "json"]);
	try {
		await program.waitForOutput(/shardcast single/, 10_000);
		// What a start leaves to do, such as collecting garbage, is over by then.
		await sleep(2_000);
		const [cpuBeforeMs, wakeUpsBefore] = [cpuMs(program.pid), wakeUps(program.pid)];
		const beganMs = performance.now();
		await sleep(2_500);
		const passedMs = performance.now() - beganMs;
		// A wake-up costs more CPU on a machine that does other work, so they are counted: there are about ten per second. `npm run bench:idle`
		// measures the CPU.
		expect(((wakeUps(program.pid) - wakeUpsBefore) / passedMs) * 1000, "wake-ups of an idle server per second").toBeLessThanOrEqual(30);
		// One that spins never sleeps.
		expect((cpuMs(program.pid) - cpuBeforeMs) / passedMs, "share of a core that an idle server uses").toBeLessThanOrEqual(0.1);
	} finally {
		await program.stop("SIGKILL");
	}
});

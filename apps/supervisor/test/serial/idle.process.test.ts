import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cpuMs, freePorts, ManagedProcess, waitFor, wakeUps } from "@shardcast/testkit";
import { expect, it } from "vitest";

const main = join(import.meta.dirname, "../../dist/main.js");

it("an idle server sleeps: it wakes up some ten times a second, and does not spin", async () => {
	const address = `127.0.0.1:${await freePorts()}`;
	const program = await ManagedProcess.start(main, ["single", "--addr", address, "--log-format", "json"]);
	try {
		await program.waitForOutput(/shardcast single/, 10_000);
		// A wake-up costs more CPU on a machine that does other work, so they are counted: there are about ten per second. `npm run bench:idle`
		// measures the CPU. One that spins never sleeps.
		const inOneSecond = async () => {
			const [cpuBeforeMs, wakeUpsBefore, beganMs] = [cpuMs(program.pid), wakeUps(program.pid), performance.now()];
			await sleep(1000);
			const seconds = (performance.now() - beganMs) / 1000;
			return { wakeUps: (wakeUps(program.pid) - wakeUpsBefore) / seconds, cpuMs: (cpuMs(program.pid) - cpuBeforeMs) / seconds };
		};
		// A start leaves something to do, such as collecting garbage.
		const quiet = await waitFor(
			async () => {
				const used = await inOneSecond();
				if (used.wakeUps <= 30 && used.cpuMs <= 100) return true;
				throw new Error(JSON.stringify(used));
			},
			{ deadlineMs: 5_000, what: "a second with 30 wake-ups and 100 ms of CPU at most" },
		);
		expect(quiet).toBe(true);
	} finally {
		await program.stop("SIGKILL");
	}
});

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cpuMs, freePorts, ManagedProcess } from "@shardcast/testkit";
import { expect, it } from "vitest";

const main = join(import.meta.dirname, "../../dist/main.js");

it("an idle server uses next to no CPU", async () => {
	const address = `127.0.0.1:${await freePorts()}`;
	const program = await ManagedProcess.start(main, ["single", "--addr", address, "--log-format", "json"]);
	try {
		await program.waitForOutput(/shardcast single/, 10_000);
		// What a start leaves to do, such as collecting garbage, is over by then.
		await sleep(2_000);
		const before = cpuMs(program.pid);
		const beganMs = performance.now();
		await sleep(2_500);
		const share = (cpuMs(program.pid) - before) / (performance.now() - beganMs);
		expect(share, "share of a core that an idle server uses").toBeLessThanOrEqual(0.01);
	} finally {
		await program.stop("SIGKILL");
	}
});

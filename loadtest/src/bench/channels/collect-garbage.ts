import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Loaded into the cluster's processes by the memory bench: SIGUSR2 collects all garbage, and a file named after the process says that it is done. */
const directory = process.env.BENCH_COLLECTED;
if (directory !== undefined) {
	setFlagsFromString("--expose-gc");
	const collect = runInNewContext("gc") as (options: object) => void;
	process.on("SIGUSR2", () => {
		// "last-resort" also gives the empty pages back to the kernel.
		collect({ type: "major", execution: "sync", flavor: "last-resort" });
		touchYoungGeneration();
		writeFileSync(join(directory, String(process.pid)), "");
	});
}

/** The kernel counts a page once it is used. Unless all of V8's two young halves (16 MiB each) are, the first clients seem to take them. */
function touchYoungGeneration(): void {
	for (let bytes = 0, kept: unknown[] = []; bytes < 96 * 1024 * 1024 && kept !== null; bytes += 8 * 1024)
		kept = new Array(1024).fill(bytes);
}

import { writeFileSync } from "node:fs";
import { Session } from "node:inspector";

/**
 * Loaded into a process with `node --import`. At SIGUSR2 it begins to sample what V8 allocates, whether it is collected afterwards or not. At the next
 * one it writes the profile into the file that HEAP_PROBE_FILE names.
 */
const file = process.env.HEAP_PROBE_FILE!;
const session = new Session();
session.connect();
let isSampling = false;

process.on("SIGUSR2", () => {
	if (isSampling) {
		session.post("HeapProfiler.stopSampling", (error, result) => {
			if (error) throw error;
			writeFileSync(file, JSON.stringify(result));
		});
	} else {
		session.post("HeapProfiler.startSampling", {
			samplingInterval: 4096,
			includeObjectsCollectedByMajorGC: true,
			includeObjectsCollectedByMinorGC: true,
		} as object);
		writeFileSync(file, "");
	}
	isSampling = !isSampling;
});

import { closeSync, openSync, writeSync } from "node:fs";

/**
 * Asks the kernel to let no CPU sleep: one that waits for work polls instead. It is Linux' PM QoS interface, which takes root.
 * @returns ends that, as does the end of this process; null = the kernel or the user's rights do not allow it.
 * @see https://docs.kernel.org/power/pm_qos_interface.html
 */
export function keepCpusAwake(): (() => void) | null {
	try {
		const file = openSync("/dev/cpu_dma_latency", "r+");
		// How long a CPU may take to wake up, in µs, as a 32-bit number.
		writeSync(file, Buffer.alloc(4));
		return () => closeSync(file);
	} catch {
		return null;
	}
}

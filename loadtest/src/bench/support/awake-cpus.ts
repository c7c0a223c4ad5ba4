import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";

/**
 * Asks the kernel to let no CPU of the machine sleep: one that waits for work polls instead. This is Linux's PM QoS interface, which requires root.
 * @param root replaces "/" in tests.
 * @returns ends that, as does the end of this process; null = the user's rights do not allow it, or the kernel would not do it.
 * @see https://docs.kernel.org/power/pm_qos_interface.html
 */
export function keepCpusAwake(root = "/"): (() => void) | null {
	if (!hasIdleDriver(root)) return null;
	let file: number;
	try {
		file = openSync(join(root, "dev/cpu_dma_latency"), "r+");
	} catch {
		return null;
	}
	try {
		// How long a CPU may take to wake up, in µs, as a 32-bit number. With 1, CPUs of a virtual machine still halt.
		writeSync(file, Buffer.alloc(4));
	} catch {
		closeSync(file);
		return null;
	}
	let isHeld = true;
	return () => {
		if (!isHeld) return;
		// Its number may soon be that of another file.
		isHeld = false;
		closeSync(file);
	};
}

/** Without a driver that chooses how deep a CPU sleeps, the kernel accepts the request and halts CPUs all the same. */
function hasIdleDriver(root: string): boolean {
	try {
		return readFileSync(join(root, "sys/devices/system/cpu/cpuidle/current_driver"), "utf8").trim() !== "none";
	} catch {
		return false;
	}
}

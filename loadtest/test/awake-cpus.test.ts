import { accessSync, constants, readdirSync, readlinkSync } from "node:fs";
import { expect, it } from "vitest";
import { keepCpusAwake } from "../src/bench/support/awake-cpus.ts";

const path = "/dev/cpu_dma_latency";

/** The kernel keeps CPUs awake as long as this file is open. */
function isOpen(): boolean {
	return readdirSync("/proc/self/fd").some((descriptor) => {
		try {
			return readlinkSync(`/proc/self/fd/${descriptor}`) === path;
		} catch {
			return false;
		}
	});
}

function isAllowed(): boolean {
	try {
		accessSync(path, constants.W_OK);
		return true;
	} catch {
		return false;
	}
}

it.skipIf(process.platform !== "linux")("CPUs are kept awake until the end, where the kernel allows it", () => {
	const letSleep = keepCpusAwake();
	expect(letSleep !== null, "whether they are kept awake").toBe(isAllowed());
	expect(isOpen(), "open after the start").toBe(isAllowed());
	letSleep?.();
	expect(isOpen(), "open after the end").toBe(false);
});

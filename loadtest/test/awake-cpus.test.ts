import {
	accessSync,
	closeSync,
	constants,
	mkdirSync,
	mkdtempSync,
	openSync,
	readdirSync,
	readFileSync,
	readlinkSync,
	readSync,
	rmSync,
	symlinkSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keepCpusAwake } from "../src/bench/support/awake-cpus.ts";

const isLinux = process.platform === "linux";

/** Descriptors of this process for a file. */
function descriptorsOf(path: string): number[] {
	return readdirSync("/proc/self/fd").flatMap((descriptor) => {
		try {
			return readlinkSync(`/proc/self/fd/${descriptor}`) === path ? [Number(descriptor)] : [];
		} catch {
			return [];
		}
	});
}

describe.skipIf(!isLinux)("CPUs are kept awake", () => {
	const device = "/dev/cpu_dma_latency";

	function isAllowed(): boolean {
		try {
			accessSync(device, constants.R_OK | constants.W_OK);
			return readFileSync("/sys/devices/system/cpu/cpuidle/current_driver", "utf8") !== "none\n";
		} catch {
			return false;
		}
	}

	it("until the end, where the kernel allows it", () => {
		const letSleep = keepCpusAwake();
		const held = descriptorsOf(device);
		// The kernel answers with the lowest value that any process asks for.
		const effectiveUs = held.map((descriptor) => {
			const bytes = Buffer.alloc(4, 0xff);
			readSync(descriptor, bytes, 0, 4, 0);
			return bytes.readInt32LE();
		});
		letSleep?.();
		expect(letSleep !== null, "whether they are kept awake").toBe(isAllowed());
		expect(effectiveUs, "how long a CPU may take to wake up, from the file that is held").toEqual(isAllowed() ? [0] : []);
		expect(descriptorsOf(device), "open after the end").toEqual([]);
	});
});

describe.skipIf(!isLinux)("with the files of another machine", () => {
	let root: string;
	let device: string;
	beforeEach(() => {
		root = mkdtempSync(join(tmpdir(), "awake-cpus-"));
		device = join(root, "dev/cpu_dma_latency");
		mkdirSync(join(root, "dev"));
		mkdirSync(join(root, "sys/devices/system/cpu/cpuidle"), { recursive: true });
		writeFileSync(device, Buffer.alloc(4, 0xff));
		driver("haltpoll\n");
	});
	afterEach(() => rmSync(root, { recursive: true }));
	const driver = (name: string) => writeFileSync(join(root, "sys/devices/system/cpu/cpuidle/current_driver"), name);

	it("the kernel is asked for 0 µs", () => {
		keepCpusAwake(root)!();
		expect(readFileSync(device)).toEqual(Buffer.alloc(4));
	});

	it("the end may come twice, and the second closes no file that was opened in between", () => {
		const letSleep = keepCpusAwake(root)!;
		letSleep();
		// It has the descriptor of the first, unless another thread has opened a file as well.
		const other = openSync(join(root, "dev/other"), "w");
		try {
			letSleep();
			expect(descriptorsOf(join(root, "dev/other")), "open after the second end").toEqual([other]);
		} finally {
			if (descriptorsOf(join(root, "dev/other")).length > 0) closeSync(other);
		}
	});

	it("without a driver for idle CPUs they are not: the kernel would accept the request and let them sleep", () => {
		driver("none\n");
		expect(keepCpusAwake(root), "with the driver none").toBeNull();
		rmSync(join(root, "sys"), { recursive: true });
		expect(keepCpusAwake(root), "without the file that names the driver").toBeNull();
		expect(readFileSync(device), "what was asked for").toEqual(Buffer.alloc(4, 0xff));
	});

	it("a request that the kernel does not take leaves no file open", () => {
		rmSync(device);
		symlinkSync("/dev/full", device);
		const before = descriptorsOf("/dev/full");
		expect(keepCpusAwake(root)).toBeNull();
		expect(descriptorsOf("/dev/full")).toEqual(before);
	});
});

import { afterEach, describe, expect, it } from "vitest";
import { MemoryWatch } from "../src/bench/channels/memory-watch.ts";

const MiB = 1024 * 1024;

describe("memory watch", () => {
	const bytes = new Map([
		[1, 30 * MiB],
		[2, 40 * MiB],
	]);
	const processes = [
		{ name: "balancer", pid: 1 },
		{ name: "shard 0", pid: 2 },
	];
	let watch: MemoryWatch;
	afterEach(() => watch.stop());

	it("sums all processes, and names one that gives memory back even though the sum grows", () => {
		watch = new MemoryWatch({ processes }, (pid) => bytes.get(pid)!);
		bytes.set(2, 60 * MiB);
		bytes.set(1, 28 * MiB);
		expect(watch.bytes()).toBe(88 * MiB);
		expect(watch.gaveBack).toBeNull();
		bytes.set(2, 80 * MiB);
		bytes.set(1, 19 * MiB);
		expect(watch.bytes()).toBe(99 * MiB);
		bytes.set(1, 30 * MiB);
		watch.bytes();
		expect(watch.gaveBack).toBe("balancer");
	});
});

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus as osCpus } from "node:os";
import { availableCpus } from "@shardcast/process";
import { afterEach, describe, expect, it } from "vitest";
import { Placement } from "../src/bench/gateway/placement.ts";
import { machineFacts } from "../src/machine.ts";

const { cpus } = availableCpus();
const taskset = (...args: string[]) => spawnSync("taskset", args, { stdio: "ignore" }).status;
const canPin = cpus.length >= 2 && taskset("--version") === 0;
const [gatewayCpu, others] = [cpus.at(-1)!, cpus.slice(0, -1).join(",")];

/** Of the main thread of this process. */
function allowed(): string {
	return /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync("/proc/self/status", "utf8"))![1]!;
}

describe.skipIf(process.platform !== "linux")("placement of bench:gateway", () => {
	const before = allowed();
	// What a broken end leaves must not slow down the tests after it.
	afterEach(() => {
		if (canPin) taskset("-a", "-c", "-p", before, String(process.pid));
	});

	it("the kernel keeps CPUs awake until this process may run anywhere again", () => {
		const heldWith: string[] = [];
		const placement = new Placement(() => () => heldWith.push(allowed()));
		expect(placement.mustPoll, "must poll").toBe(false);
		expect(placement.about).toBe(
			canPin
				? `gateway on CPU ${gatewayCpu}, clients and backends on CPU ${others}; the kernel keeps all CPUs awake`
				: "nothing is pinned: that takes two CPUs, and taskset",
		);
		expect(placement.gatewayStart).toEqual(canPin ? { cpu: gatewayCpu } : {});
		expect(availableCpus().cpus, "CPUs of this process").toEqual(canPin ? cpus.slice(0, -1) : cpus);
		expect(machineFacts().cores, "cores of the machine, which the result names").toBe(osCpus().length);
		placement.end();
		expect(heldWith, "CPUs of this process when they may sleep again").toEqual(canPin ? [before] : []);
		expect(allowed(), "CPUs of this process after the end").toBe(before);
	});

	it("where the kernel does not, a process polls", () => {
		const placement = new Placement(() => null);
		expect(placement.mustPoll, "must poll").toBe(canPin);
		if (canPin) expect(placement.about).toContain(`on CPU ${others}; a process that polls keeps one CPU awake`);
		placement.end();
		expect(allowed(), "CPUs of this process after the end").toBe(before);
	});

	it("the end may come twice", () => {
		const placement = new Placement();
		placement.end();
		placement.end();
		expect(allowed(), "CPUs of this process after the end").toBe(before);
	});
});

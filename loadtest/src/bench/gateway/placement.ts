import { spawnSync } from "node:child_process";
import { constants, setPriority } from "node:os";
import { availableCpus } from "@shardcast/process";
import { keepCpusAwake } from "../support/awake-cpus.ts";

/**
 * Gives the gateway a CPU that it shares with no part of the bench, and the others to this process and those that play clients and backends. Of these
 * the one that measures goes first: it would otherwise measure how long it waits for a CPU.
 */
export class Placement {
	/** For people. */
	readonly about: string;
	/** How to start the gateway: on its CPU, since it looks at how many it has. */
	readonly gatewayStart: { readonly cpu?: number };
	readonly #gatewayCpu: number | null;
	readonly #otherCpus: readonly number[];
	readonly #allCpus: readonly number[];
	readonly #letSleep: (() => void) | null;

	/** Also moves this process. @param keepAwake replaces `keepCpusAwake` in tests. */
	constructor(keepAwake: () => (() => void) | null = keepCpusAwake) {
		const { cpus } = availableCpus();
		const canPin = cpus.length >= 2 && spawnSync("taskset", ["--version"], { stdio: "ignore" }).status === 0;
		this.#gatewayCpu = canPin ? cpus.at(-1)! : null;
		this.gatewayStart = this.#gatewayCpu === null ? {} : { cpu: this.#gatewayCpu };
		this.#otherCpus = canPin ? cpus.slice(0, -1) : [];
		this.#allCpus = cpus;
		if (canPin) pin(process.pid, this.#otherCpus);
		this.#letSleep = canPin ? keepAwake() : null;
		this.about = canPin
			? `gateway on CPU ${this.#gatewayCpu}, clients and backends on CPU ${this.#otherCpus.join(",")}; ${this.mustPoll ? "a process that polls keeps one CPU awake" : "the kernel keeps all CPUs awake"}`
			: "nothing is pinned: that takes two CPUs, and taskset";
	}

	/**
	 * Whether a process of the bench must poll, since the kernel does not keep CPUs awake. That keeps one CPU awake, which is not the gateway's. It is the worse
	 * way: with two CPUs, neither then seems to have time, and the kernel leaves its threads and other programs on the gateway's.
	 */
	get mustPoll(): boolean {
		return this.#gatewayCpu !== null && this.#letSleep === null;
	}

	/** This process may run anywhere again, and so may those that it starts. CPUs may sleep. */
	end(): void {
		try {
			if (this.#gatewayCpu !== null) pin(process.pid, this.#allCpus);
		} finally {
			this.#letSleep?.();
		}
	}

	/** @param measures whether latencies are measured in it. */
	peers(pid: number, measures: boolean): void {
		if (this.#gatewayCpu !== null) pin(pid, this.#otherCpus);
		if (measures) return;
		// At idle priority a process gives way at once to one that wakes up; at a lower priority only after some milliseconds, which would be measured.
		setPriority(pid, constants.priority.PRIORITY_LOW);
		if (this.#gatewayCpu !== null) run("chrt", ["--all-tasks", "--idle", "--pid", "0", String(pid)]);
	}
}

/** All threads. @throws when it cannot. */
function pin(pid: number, cpus: readonly number[]): void {
	run("taskset", ["-a", "-c", "-p", cpus.join(","), String(pid)]);
}

function run(command: string, args: readonly string[]): void {
	const { status, stderr } = spawnSync(command, args, { encoding: "utf8" });
	if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr.trim()}`);
}

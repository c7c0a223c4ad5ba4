import { spawnSync } from "node:child_process";
import { setPriority } from "node:os";
import { availableCpus } from "@shardcast/process";

/** Of the processes that play clients and backends, against the one that measures. */
const generatorNice = 10;

/**
 * Gives the gateway a CPU that it shares with no part of the bench, and the others to the processes that play clients and backends, of which the one that measures goes first: it would
 * otherwise measure how long it waits for a CPU.
 */
export class Placement {
	/** For people. */
	readonly about: string;
	readonly #gatewayCpu: number | null;
	readonly #otherCpus: readonly number[];

	constructor() {
		const { cpus } = availableCpus();
		const canPin = cpus.length >= 2 && spawnSync("taskset", ["--version"], { stdio: "ignore" }).status === 0;
		this.#gatewayCpu = canPin ? cpus.at(-1)! : null;
		this.#otherCpus = canPin ? cpus.slice(0, -1) : [];
		this.about = canPin
			? `gateway on CPU ${this.#gatewayCpu}, clients and backends on ${this.#otherCpus.join(",")}`
			: "nothing is pinned: that takes two CPUs, and taskset";
	}

	gateway(pid: number): void {
		if (this.#gatewayCpu !== null) pin(pid, [this.#gatewayCpu]);
	}

	/** @param measures whether latencies are measured in it. */
	peers(pid: number, measures: boolean): void {
		if (this.#gatewayCpu !== null) pin(pid, this.#otherCpus);
		if (!measures) setPriority(pid, generatorNice);
	}
}

/** All threads. @throws when it cannot. */
function pin(pid: number, cpus: readonly number[]): void {
	const { status, stderr } = spawnSync("taskset", ["-a", "-c", "-p", cpus.join(","), String(pid)], { encoding: "utf8" });
	if (status !== 0) throw new Error(`taskset of ${pid}: ${stderr.trim()}`);
}

import { spawnSync } from "node:child_process";
import { setPriority } from "node:os";
import { availableCpus } from "@shardcast/process";

/** Of the processes that play clients and backends, against the one that measures. */
const generatorNice = 10;

/**
 * Gives the gateway a CPU that it shares with no part of the bench, and the others to the processes that play clients and backends. The one that measures
 * goes first, with a real-time priority if this user may give it one: it would otherwise measure how long it waits for a CPU. By its niceness alone it
 * waits up to a slice of the scheduler, 0.7 ms and more, each time that it wakes up while others run.
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
			? `gateway on CPU ${this.#gatewayCpu}, clients and backends on ${this.#otherCpus.join(",")}, ${mayBeRealTime() ? "the measuring process in real time" : "no process in real time (that takes root, and chrt)"}`
			: "nothing is pinned: that takes two CPUs, and taskset";
	}

	gateway(pid: number): void {
		if (this.#gatewayCpu !== null) pin(pid, [this.#gatewayCpu]);
	}

	/** @param measures whether latencies are measured in it. */
	peers(pid: number, measures: boolean): void {
		if (this.#gatewayCpu !== null) pin(pid, this.#otherCpus);
		if (!measures) setPriority(pid, generatorNice);
		else if (this.#gatewayCpu !== null) inRealTime(pid);
	}
}

/** All threads. @throws when it cannot. */
function pin(pid: number, cpus: readonly number[]): void {
	const { status, stderr } = spawnSync("taskset", ["-a", "-c", "-p", cpus.join(","), String(pid)], { encoding: "utf8" });
	if (status !== 0) throw new Error(`taskset of ${pid}: ${stderr.trim()}`);
}

/** All threads, at the lowest such priority. @returns whether this user may. */
function inRealTime(pid: number): boolean {
	return spawnSync("chrt", ["-a", "-f", "-p", "1", String(pid)], { stdio: "ignore" }).status === 0;
}

function mayBeRealTime(): boolean {
	return spawnSync("chrt", ["-f", "1", "true"], { stdio: "ignore" }).status === 0;
}

import { setTimeout as delay } from "node:timers/promises";
import { describeExit } from "@shardcast/testkit";
import type { KafkaBroker } from "@shardcast/testkit/kafka";
import type { Tally } from "./oracle.ts";
import type { Crowd } from "./rig/crowd.ts";
import type { Subject } from "./rig/subject.ts";

const servesWithinMs = 90_000;
const healthEveryMs = 100;

/** What a fault works on. */
export class Rig {
	readonly subject: Subject;
	readonly crowd: Crowd;
	/** Null = without Kafka. */
	readonly kafka: KafkaBroker | null;
	readonly tally: Tally;
	readonly #signal: AbortSignal;

	constructor(subject: Subject, crowd: Crowd, kafka: KafkaBroker | null, tally: Tally, signal: AbortSignal) {
		this.subject = subject;
		this.crowd = crowd;
		this.kafka = kafka;
		this.tally = tally;
		this.#signal = signal;
	}

	/** @throws when the run is interrupted meanwhile. */
	async wait(ms: number): Promise<void> {
		await delay(ms, undefined, { signal: this.#signal });
	}

	/** Waits for a condition. @returns whether it came true in time. @throws when the run is interrupted. */
	async until(condition: () => boolean | Promise<boolean>, withinMs: number, everyMs = 20): Promise<boolean> {
		for (const endMs = performance.now() + withinMs; ; ) {
			if (await condition()) return true;
			if (performance.now() > endMs) return false;
			await this.wait(everyMs);
		}
	}

	/** Processes of the cluster by name. @throws when the balancer does not answer. */
	pids(): Promise<Map<string, number>> {
		return this.subject.cluster.pids();
	}

	/** The cluster is healthy, and every client is served. @returns after how long; null = it was not so in time, which is counted. */
	async fullService(): Promise<number | null> {
		const beganMs = performance.now();
		const serves = this.crowd.serves();
		let state = "";
		const isHealthy = async () => {
			try {
				const { status, reasons, shards } = await this.subject.cluster.health();
				state = `${status} ${reasons.join("; ")}`;
				return status === "healthy" && shards.every((shard) => shard.status === "healthy");
			} catch (error) {
				state = (error as Error).message;
				return false;
			}
		};
		const { process: supervisor } = this.subject.cluster;
		const hasEnded = () => supervisor.status() !== null;
		const isFull =
			(await this.until(() => serves() || hasEnded(), servesWithinMs)) &&
			(await this.until(async () => hasEnded() || (await isHealthy()), servesWithinMs, healthEveryMs)) &&
			!hasEnded();
		if (isFull) return performance.now() - beganMs;
		const status = supervisor.status();
		if (status !== null) state = `the cluster has ended by itself with ${describeExit(status)}`;
		this.tally.add(
			"unavailable",
			`no full service after ${Math.round((performance.now() - beganMs) / 1000)} s: ${state}; ${this.crowd.state()}`,
		);
		return null;
	}
}

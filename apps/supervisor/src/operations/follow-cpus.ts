import type { ClusterEvent } from "@shardcast/control";
import type { Log } from "@shardcast/telemetry";
import { OperationRefused } from "./operation.ts";

interface FollowCpusParts {
	/** CPUs that the cluster may keep busy now. */
	readonly cpuCount: () => number;
	readonly shardCount: () => number;
	readonly scale: (count: number) => Promise<unknown>;
	readonly log: Pick<Log, "info" | "warn">;
	/** Adds an event to the console. */
	readonly tell: (level: ClusterEvent["level"], text: string) => void;
}

const everyMs = 10_000;
/** A new number counts when so many looks in a row have seen it: changing the number of shards moves clients. */
const looksMin = 3;
/** So many looks after a scaling that did not get there it tries again, and each time twice as many: an attempt may move clients and replace the balancer. */
const restLooksMin = 6;
const restLooksMax = 360;

/**
 * `--shards auto`: as many shards as there are CPUs, also when the quota or the CPU set of the container changes. Whoever scales the cluster by hand ends it,
 * since the two would work against each other. One per supervisor. Bound: one timer, one scaling at a time.
 */
export class FollowCpus {
	readonly #parts: FollowCpusParts;
	/** Number of shards when it last looked, or made it so. */
	#shards: number;
	#seen = 0;
	#looks = 0;
	/** Told once that this number could not be reached. */
	#told = 0;
	/** Looks until it may try again. */
	#rest = 0;
	#restLooks = restLooksMin;
	#isScaling = false;
	#timer: NodeJS.Timeout | undefined;

	constructor(parts: FollowCpusParts) {
		this.#parts = parts;
		this.#shards = parts.shardCount();
	}

	start(): void {
		this.#timer = setInterval(() => void this.look(), everyMs);
		this.#timer.unref();
	}

	stop(): void {
		clearInterval(this.#timer);
		this.#timer = undefined;
	}

	/** Call periodically. */
	async look(): Promise<void> {
		const { cpuCount, shardCount, scale, log, tell } = this.#parts;
		if (this.#isScaling) return;
		if (shardCount() !== this.#shards) {
			this.stop();
			const text = `the cluster was scaled to ${shardCount()} shards; --shards auto does not follow the CPUs until the next start`;
			log.warn(text);
			tell("info", text);
			return;
		}
		const cpus = cpuCount();
		this.#looks++;
		if (cpus !== this.#seen) {
			this.#seen = cpus;
			this.#looks = 1;
			this.#rest = 0;
			this.#restLooks = restLooksMin;
		}
		if (cpus === this.#shards || this.#looks < looksMin || --this.#rest > 0) return;
		this.#isScaling = true;
		log.info(`--shards auto: scaling from ${this.#shards} to ${cpus} shards, the number of CPUs now`);
		let isBusy = false;
		try {
			await scale(cpus);
		} catch (error) {
			// What people have ordered goes first; the next look tries again.
			isBusy = error instanceof OperationRefused && error.code === "busy";
			if (!isBusy && this.#told !== cpus) {
				this.#told = cpus;
				const text = `--shards auto: ${cpus} CPUs, but still ${shardCount()} shards: ${(error as Error).message}`;
				log.warn(text);
				tell("warn", text);
			}
		} finally {
			this.#shards = shardCount();
			this.#rest = 0;
			if (!isBusy && this.#shards !== cpus) {
				this.#rest = this.#restLooks;
				this.#restLooks = Math.min(2 * this.#restLooks, restLooksMax);
			}
			this.#isScaling = false;
		}
	}
}

import type { ClusterEvent, ShardCountReading } from "@shardcast/control";
import type { Log } from "@shardcast/telemetry";
import { counted } from "../counted.ts";
import { OperationRefused } from "./operation.ts";

interface FollowCpusParts {
	/** Number of shards for the CPUs that the cluster may keep busy now. */
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
 * `--shards auto` and `scale auto`: as many shards as there are CPUs, also when the quota or the CPU set of the container changes. A number that people give
 * by `scale` ends it, since the two would work against each other. One per supervisor. Bound: one timer, one scaling at a time.
 */
export class FollowCpus {
	readonly #parts: FollowCpusParts;
	/** Number of shards that people have given, or that the last look has found right. */
	#wanted: number;
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
		this.#wanted = parts.shardCount();
	}

	get scaling(): ShardCountReading {
		return { wanted: this.#wanted, present: this.#parts.shardCount(), followsCpus: this.#timer !== undefined };
	}

	/** Follows the CPUs from now on. @returns false = it does so already. */
	start(): boolean {
		// In either case the next attempt does not wait.
		this.#rest = 0;
		this.#restLooks = restLooksMin;
		this.#told = 0;
		if (this.#timer !== undefined) return false;
		this.#looks = 0;
		this.#wanted = this.#parts.cpuCount();
		this.#timer = setInterval(() => void this.look(), everyMs);
		this.#timer.unref();
		return true;
	}

	/** People have given this number, and it was not refused. @returns whether the number followed the CPUs until now. */
	byHand(count: number): boolean {
		const wasOn = this.#timer !== undefined;
		this.stop();
		this.#wanted = count;
		if (!wasOn) return false;
		const text = `scaled by hand to ${counted(count, "shard")}: the number does not follow the CPUs any more, until "scale auto" or the next start`;
		this.#parts.log.warn(text);
		this.#parts.tell("info", text);
		return true;
	}

	stop(): void {
		clearInterval(this.#timer);
		this.#timer = undefined;
	}

	/** Call periodically. */
	async look(): Promise<void> {
		const { cpuCount, shardCount, scale, log, tell } = this.#parts;
		if (this.#isScaling || this.#timer === undefined) return;
		const cpus = cpuCount();
		const before = shardCount();
		this.#wanted = cpus;
		this.#looks++;
		if (cpus !== this.#seen) {
			this.#seen = cpus;
			this.#looks = 1;
			this.#rest = 0;
			this.#restLooks = restLooksMin;
		}
		if (cpus === before || this.#looks < looksMin || --this.#rest > 0) return;
		this.#isScaling = true;
		log.info(`following the CPUs: scaling from ${before} to ${counted(cpus, "shard")}`);
		let isBusy = false;
		try {
			await scale(cpus);
		} catch (error) {
			// What people have ordered goes first; the next look tries again.
			isBusy = error instanceof OperationRefused && error.code === "busy";
			if (!isBusy && this.#told !== cpus) {
				this.#told = cpus;
				const text = `following the CPUs: ${counted(cpus, "shard")} wanted, but there are ${shardCount()}: ${(error as Error).message}`;
				log.warn(text);
				tell("warn", text);
			}
		} finally {
			this.#rest = 0;
			if (!isBusy && shardCount() !== cpus) {
				this.#rest = this.#restLooks;
				this.#restLooks = Math.min(2 * this.#restLooks, restLooksMax);
			}
			this.#isScaling = false;
		}
	}
}

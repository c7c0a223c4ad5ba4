import type { Config } from "@shardcast/config";
import type { PartAnswers } from "@shardcast/control";
import { withDeadline } from "@shardcast/process";
import type { Log, ProcessMetrics } from "@shardcast/telemetry";
import type { Commit, Feature } from "./feature.ts";

/** By which share of a drain a feature must be done that does not say otherwise. */
const usualDrainShare = 0.25;
/** A feature keeps the time itself, and its last step may come after it: only one that hangs is not waited for. */
const graceMs = 1000;
/** How long a feature may take to stop. */
const stopMsMax = 5000;

export interface FeaturesParts {
	readonly parts: PartAnswers;
	readonly metrics: Pick<ProcessMetrics, "addReading">;
	readonly log: Pick<Log, "error">;
}

/** The features of a shard in their order: starts, drains and stops all of them. One owner. */
export class Features {
	readonly #features: readonly Feature[];
	readonly #metrics: FeaturesParts["metrics"];
	readonly #log: FeaturesParts["log"];

	/** @param parts of the shard: where they register what they have to say to questions, and their metrics. */
	constructor(features: readonly Feature[], { parts, metrics, log }: FeaturesParts) {
		this.#features = features;
		this.#metrics = metrics;
		this.#log = log;
		for (const feature of features) feature.answers?.(parts);
	}

	/** Rejects when one of them cannot; all of them are to be stopped then. */
	async start(): Promise<void> {
		await Promise.all(this.#features.map(async (feature) => feature.start?.()));
		for (const feature of this.#features) feature.measures?.(this.#metrics);
	}

	serving(): void {
		for (const feature of this.#features) feature.serving?.();
	}

	/** All of them or none get the options. @throws when one of them cannot work with them. */
	reload(config: Config): Commit {
		const commits = this.#features.flatMap((feature) => feature.reload?.(config) ?? []);
		return () => {
			for (const commit of commits) commit();
		};
	}

	everySecond(): void {
		for (const feature of this.#features) feature.everySecond?.();
	}

	/** One after the other, first to last. Each keeps its time. Resolves with what was cut off, by feature; names without any are left out. */
	async drain(deadlineMs: number): Promise<Readonly<Record<string, number>>> {
		const began = performance.now();
		for (const feature of this.#features) {
			if (feature.drain === undefined) continue;
			const byMs = deadlineMs * (feature.drainShare ?? usualDrainShare);
			const leftMs = Math.max(0, byMs - (performance.now() - began));
			try {
				const drained = feature.drain(leftMs);
				if (drained !== undefined) await withDeadline(drained, leftMs + graceMs, "draining");
			} catch (error) {
				this.#log.error({ feature: feature.name, error }, `${feature.name} could not be drained`);
			}
		}
		// What one of them had not done in its time may have been done since.
		const left: Record<string, number> = {};
		for (const feature of this.#features) {
			const count = feature.unfinished?.() ?? 0;
			if (count > 0) left[feature.name] = count;
		}
		return left;
	}

	/** One after the other, last to first. Never rejects: a feature that cannot stop does not keep the others from it. */
	async stop(): Promise<void> {
		for (const feature of this.#features.toReversed()) {
			try {
				const stopped = feature.stop?.();
				if (stopped !== undefined) await withDeadline(stopped, stopMsMax, "stopping");
			} catch (error) {
				this.#log.error({ feature: feature.name, error }, `${feature.name} could not be stopped`);
			}
		}
	}
}

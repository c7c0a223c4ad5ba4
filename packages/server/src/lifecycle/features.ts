import type { Config } from "@shardcast/config";
import type { PartAnswers } from "@shardcast/control";
import { withDeadline } from "@shardcast/process";
import type { Log, ProcessMetrics } from "@shardcast/telemetry";
import type { Commit, Feature } from "./feature.ts";

/** Default of `Feature.drainShare`. */
const usualDrainShare = 0.25;
/** Features observe their time limit themselves, but their last step may exceed it. After this extra time a hung feature is not waited for. */
const graceMs = 1000;
/** Longest wait for a feature to stop. */
const stopMsMax = 5000;

interface FeaturesParts {
	readonly parts: PartAnswers;
	readonly metrics: Pick<ProcessMetrics, "addReading">;
	readonly log: Pick<Log, "error">;
}

/** The features of a shard in their order: starts, drains and stops all of them. One owner. */
export class Features {
	readonly #features: readonly Feature[];
	readonly #metrics: FeaturesParts["metrics"];
	readonly #log: FeaturesParts["log"];

	/** @param parts the shard's registries for answers to questions and for metrics. */
	constructor(features: readonly Feature[], { parts, metrics, log }: FeaturesParts) {
		this.#features = features;
		this.#metrics = metrics;
		this.#log = log;
		for (const feature of features) feature.answers?.(parts);
	}

	/** Rejects when a feature cannot start. Then all of them must be stopped. */
	async start(): Promise<void> {
		await Promise.all(this.#features.map(async (feature) => feature.start?.()));
		for (const feature of this.#features) feature.measures?.(this.#metrics);
	}

	serving(): void {
		for (const feature of this.#features) feature.serving?.();
	}

	/** Either all features get the options or none. @throws when one of them cannot use them. */
	reload(config: Config): Commit {
		const commits = this.#features.flatMap((feature) => feature.reload?.(config) ?? []);
		return () => {
			for (const commit of commits) commit();
		};
	}

	everySecond(): void {
		for (const feature of this.#features) feature.everySecond?.();
	}

	/** Drains one after the other, first to last. Resolves with the number of items cut off, by feature; features without any are left out. */
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
				this.#log.error({ feature: feature.name, error }, `could not drain ${feature.name}`);
			}
		}
		// Work that was unfinished at a feature's deadline may be done by now.
		const left: Record<string, number> = {};
		for (const feature of this.#features) {
			const count = feature.unfinished?.() ?? 0;
			if (count > 0) left[feature.name] = count;
		}
		return left;
	}

	/** Stops one after the other, last to first. Never rejects: if a feature cannot stop, the others still do. */
	async stop(): Promise<void> {
		for (const feature of this.#features.toReversed()) {
			try {
				const stopped = feature.stop?.();
				if (stopped !== undefined) await withDeadline(stopped, stopMsMax, "stopping");
			} catch (error) {
				this.#log.error({ feature: feature.name, error }, `could not stop ${feature.name}`);
			}
		}
	}
}

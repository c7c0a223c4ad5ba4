import type { Config, ServingCommand } from "@shardcast/config";
import {
	ConfigError,
	type ConfigInput,
	describeChanges,
	type LoadedConfig,
	loadConfig,
	planReload,
	type ReloadPlan,
} from "@shardcast/config";
import type { Log } from "@shardcast/telemetry";
import type { ClusterEvent } from "./event-log.ts";

/** Outcomes of a reload. `unchanged`: no live option is different. */
export const reloadResults = ["applied", "unchanged", "rejected", "no_file"] as const;
type ReloadResult = (typeof reloadResults)[number];
export type ReloadCounts = Record<ReloadResult, number>;

/** A reload and its result, in one sentence. */
export interface ReloadOutcome {
	readonly result: ReloadResult;
	readonly text: string;
}

export const noReloads = (): ReloadCounts => ({ applied: 0, unchanged: 0, rejected: 0, no_file: 0 });

interface ConfigReloaderParts {
	readonly command: ServingCommand;
	/** The sources of the options, which are read again. */
	readonly input: ConfigInput;
	/** The options at the start. */
	readonly started: Config;
	readonly running: () => Config;
	/** Applies the options everywhere. @throws when it cannot; then nothing has changed. */
	readonly apply: (config: Config) => void;
	readonly counts: ReloadCounts;
	readonly log: Log;
	/** Adds an event to the console. */
	readonly tell: (level: ClusterEvent["level"], text: string) => void;
}

/** Log levels, most verbose first. */
const verbosity = ["debug", "info", "warn", "error", "silent"];

/**
 * Reloads the options on SIGHUP, from the same flags, environment and file as at the start, and applies those that can change while the process
 * runs. All or nothing: if anything is wrong with the file, all options stay as they are. Each attempt is counted and writes one log line. One per
 * process, on its main thread.
 */
export class ConfigReloader {
	readonly #parts: ConfigReloaderParts;

	constructor(parts: ConfigReloaderParts) {
		this.#parts = parts;
	}

	reload(): ReloadResult {
		return this.attempt().result;
	}

	/** Like `reload`, with the sentence about it that the log has. */
	attempt(): ReloadOutcome {
		const outcome = this.#reload();
		this.#parts.counts[outcome.result]++;
		return outcome;
	}

	#reload(): ReloadOutcome {
		const { command, input, started, running, apply, log, tell } = this.#parts;
		const levelBefore = log.level;
		let next: LoadedConfig;
		let plan: ReloadPlan;
		try {
			next = loadConfig(input, { again: true });
			if (next.file === null) {
				const text = "there is no config file to reload; start with --config or SHARDCAST_CONFIG";
				log.warn(`SIGHUP: ${text}`);
				return { result: "no_file", text };
			}
			plan = planReload({ command, started, running: running(), next });
			if (plan.applied.length > 0) apply(plan.config);
		} catch (error) {
			// A serving process continues after any error. Unexpected errors are logged with their stack.
			const foreseen = error instanceof ConfigError;
			const problems = foreseen ? error.lines : [error instanceof Error ? error.message : String(error)];
			const fields = foreseen ? { problems } : { problems, err: error };
			const text = `configuration not reloaded, all options keep their values: ${problems.join("; ")}`;
			log.error(fields, text);
			tell("bad", `configuration not reloaded: ${problems.join("; ")}`);
			return { result: "rejected", text };
		}
		for (const warning of next.warnings) log.warn(warning);
		const text = this.#say(plan, next.file, levelBefore);
		return { result: plan.applied.length > 0 ? "applied" : "unchanged", text };
	}

	/** @returns what it says. */
	#say(plan: ReloadPlan, file: string, before: string): string {
		const { log, tell } = this.#parts;
		const { applied, waiting } = plan;
		const sentence = reloadSentence(plan, file);
		// Log at the more verbose of the two levels; otherwise a change of the level itself might not be logged.
		const after = log.level;
		log.level = verbosity.indexOf(before) < verbosity.indexOf(after) ? before : after;
		log[waiting.length > 0 ? "warn" : "info"]({ applied: byPath(applied), waiting: byPath(waiting) }, sentence);
		log.level = after;
		tell(waiting.length > 0 ? "warn" : "info", sentence);
		return sentence;
	}
}

/** The result, in one sentence. */
function reloadSentence({ applied, waiting, inVain }: ReloadPlan, file: string): string {
	const now = applied.length > 0 ? describeChanges(applied) : "no option that can change while running has changed";
	const later = waiting.length > 0 ? `; only a restart brings ${describeChanges(waiting)}: stop shardcast and start it again` : "";
	const unused = inVain.length > 0 ? `; the file's values of these have no effect: ${inVain.join(", ")}` : "";
	return `configuration reloaded from ${file}: ${now}${later}${unused}`;
}

function byPath(changes: ReloadPlan["applied"]): Record<string, string> {
	return Object.fromEntries(changes.map(({ path, from, to }) => [path, `${from} → ${to}`]));
}

import { checkAcross } from "../options/check.ts";
import type { ServingCommand } from "../options/option.ts";
import { type Config, type ConfigKey, fileKey, keysOf, optionOf } from "../options/options.ts";
import { ConfigError } from "./config-error.ts";
import { type LoadedConfig, settingNames } from "./load.ts";

/** A setting that is not as it was, as people are told of it: secrets are hidden. */
export interface SettingChange {
	readonly key: ConfigKey;
	readonly from: string;
	readonly to: string;
}

/** What reading the settings again comes to. */
export interface ReloadPlan {
	/** The settings that hold from now on: those that run, with the changes that can be made. */
	readonly config: Config;
	readonly applied: readonly SettingChange[];
	/** Changed as well, but fixed until a restart. */
	readonly waiting: readonly SettingChange[];
}

export interface ReloadInput {
	readonly command: ServingCommand;
	/** As settled at the start; the machine may have filled in some since. */
	readonly started: Config;
	readonly running: Config;
	readonly next: LoadedConfig;
}

/**
 * Works out what changes. Pure: nothing is changed by it.
 * @throws ConfigError when the new settings do not go together with those that are fixed.
 */
export function planReload({ command, started, running, next }: ReloadInput): ReloadPlan {
	const changes: Partial<Record<ConfigKey, unknown>> = {};
	const applied: SettingChange[] = [];
	const waiting: SettingChange[] = [];
	for (const key of keysOf(command)) {
		const { live } = optionOf(key);
		const before = live ? running[key] : started[key];
		const after = next.config[key];
		if (sameSetting(before, after)) continue;
		(live ? applied : waiting).push(settingChange(key, before, after));
		if (live) changes[key] = after;
	}
	const config = Object.freeze({ ...running, ...(changes as Partial<Config>) });
	const broken = applied.length === 0 ? [] : checkAcross(config, settingNames(next.sources));
	if (broken.length > 0) throw new ConfigError(broken);
	return { config, applied, waiting };
}

/** "batch 64 → 128, logLevel info → debug" */
export function describeChanges(changes: readonly SettingChange[]): string {
	return changes.map(({ key, from, to }) => `${fileKey(key)} ${from} → ${to}`).join(", ");
}

export function sameSetting(one: unknown, other: unknown): boolean {
	return JSON.stringify(one) === JSON.stringify(other);
}

function settingChange(key: ConfigKey, before: unknown, after: unknown): SettingChange {
	const { show, secret } = optionOf(key);
	const [from, to] = [show(before), show(after)];
	return { key, from, to: secret && from === to ? "another (hidden)" : to };
}

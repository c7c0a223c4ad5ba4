import { type ConfigKey, configKeys, environmentName } from "../options/options.ts";
import { nearest } from "./nearest.ts";
import type { Found, FoundByKey } from "./source.ts";

/** Variables of ours that are no settings. */
const reserved = ["SHARDCAST_CONFIG"];

/** An empty variable counts as not set: Compose files pass on `${NAME:-}`. */
export function fromEnvironment(environment: NodeJS.ProcessEnv): FoundByKey {
	const found = new Map<ConfigKey, Found>();
	for (const key of configKeys) {
		const name = environmentName(key);
		const raw = environment[name];
		if (raw !== undefined && raw !== "") found.set(key, { raw, source: { kind: "environment", name } });
	}
	return found;
}

/**
 * One line for each variable that looks like a misspelt setting. Warnings and no errors: Kubernetes puts variables such as
 * SHARDCAST_PORT into every pod beside a service of that name.
 */
export function environmentWarnings(environment: NodeJS.ProcessEnv): string[] {
	const known = [...configKeys.map(environmentName), ...reserved];
	const warnings: string[] = [];
	for (const name of Object.keys(environment)) {
		if (!name.startsWith("SHARDCAST_") || known.includes(name)) continue;
		const meant = nearest(
			name.slice("SHARDCAST_".length),
			known.map((each) => each.slice("SHARDCAST_".length)),
		);
		if (meant !== undefined) warnings.push(`${name}: unknown environment variable; did you mean SHARDCAST_${meant}?`);
	}
	return warnings;
}

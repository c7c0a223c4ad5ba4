import { type ConfigKey, configKeys, environmentName, filePath, optionOf } from "../options/options.ts";
import { closestWord } from "./closest-word.ts";
import type { FoundValue, FoundValues } from "./layer.ts";

/** Variables of ours that are no options. */
const reserved = ["SHARDCAST_CONFIG"];

/** The variables of each option; of two the last one holds. */
const namesOf: readonly (readonly [ConfigKey, readonly string[]])[] = configKeys.map((key) => {
	const { variable } = optionOf(key);
	return [key, variable === null ? [environmentName(key)] : [variable, environmentName(key)]];
});
const known: readonly string[] = [...configKeys.map(environmentName), ...reserved];

/** An empty variable counts as not set: Compose files pass on `${NAME:-}`. */
export function fromEnvironment(environment: NodeJS.ProcessEnv): FoundValues {
	const found = new Map<ConfigKey, FoundValue>();
	for (const [key, names] of namesOf) {
		for (const name of names) {
			const raw = environment[name];
			if (raw !== undefined && raw !== "") found.set(key, { raw, layer: { kind: "environment", name } });
		}
	}
	return found;
}

/** Variables as someone who knows the config file would spell them, such as SHARDCAST_LIMITS_MESSAGE_RATE. */
const byPath = new Map(configKeys.map((key) => [`SHARDCAST_${filePath(key).replaceAll(".", "_").toUpperCase()}`, environmentName(key)]));

/**
 * One line for each variable that looks like a misspelt option. Warnings and no errors: Kubernetes puts variables such as
 * SHARDCAST_PORT into every pod beside a service of that name.
 */
export function environmentWarnings(environment: NodeJS.ProcessEnv): string[] {
	const warnings: string[] = [];
	for (const name of Object.keys(environment)) {
		if (!name.startsWith("SHARDCAST_") || known.includes(name)) continue;
		const meant = byPath.get(name) ?? nearestVariable(name);
		if (meant !== undefined) warnings.push(`${name}: unknown environment variable; did you mean ${meant}?`);
	}
	return warnings;
}

function nearestVariable(name: string): string | undefined {
	const ours = (variable: string) => variable.slice("SHARDCAST_".length);
	const meant = closestWord(ours(name), known.map(ours));
	return meant === undefined ? undefined : `SHARDCAST_${meant}`;
}

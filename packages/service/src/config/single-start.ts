import type { ConfigInput, LoadedConfig } from "./load.ts";
import type { Config, ConfigKey } from "./options.ts";
import type { Found } from "./source.ts";

/** What `shardcast single` leaves for the shard's program, which takes over its process, in this variable as JSON. */
export const singleVariable = "SHARDCAST_SINGLE";

export interface SingleStart {
	readonly config: Config;
	/** From which the settings can be read again; the environment is the process's own. */
	readonly flags: readonly (readonly [ConfigKey, Found])[];
	readonly file: string | null;
}

export function encodeSingle({ config }: LoadedConfig, { flags, file }: ConfigInput): string {
	return JSON.stringify({ config, flags: [...(flags ?? [])], file: file ?? null } satisfies SingleStart);
}

export function decodeSingle(text: string, environment: NodeJS.ProcessEnv): { readonly config: Config; readonly input: ConfigInput } {
	const { config, flags, file } = JSON.parse(text) as SingleStart;
	return { config, input: { flags: new Map(flags), file: file ?? undefined, environment } };
}

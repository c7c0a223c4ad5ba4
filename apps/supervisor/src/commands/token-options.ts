import { type ConfigKey, optionOf } from "@shardcast/config";

/** The token options that are not secret. Secrets come only from the environment or the file, since `ps` shows flags. */
export function publicTokenKeys(keys: readonly ConfigKey[]): ConfigKey[] {
	return keys.filter((key) => /^(token|subscriptionToken)[A-Z]/.test(key) && !optionOf(key).secret);
}

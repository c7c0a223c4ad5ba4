import { type ConfigKey, optionOf } from "@shardcast/config";

/** The token options that are not secret. Secrets come only from the environment or the file, since `ps` shows flags. */
export function publicTokenKeys(keys: readonly ConfigKey[]): ConfigKey[] {
	return keys.filter((key) => isOfTokens(key) && !optionOf(key).secret);
}

/** Those that are. */
export function secretTokenKeys(keys: readonly ConfigKey[]): ConfigKey[] {
	return keys.filter((key) => isOfTokens(key) && optionOf(key).secret);
}

function isOfTokens(key: ConfigKey): boolean {
	return /^(token|subscriptionToken)[A-Z]/.test(key);
}

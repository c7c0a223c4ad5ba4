import { type ConfigKey, optionOf } from "@shardcast/config";

/** Those of the options of tokens that are no secret: secrets come from the environment or the file only, since `ps` shows flags. */
export function publicTokenKeys(keys: readonly ConfigKey[]): ConfigKey[] {
	return keys.filter((key) => /^(token|subscriptionToken)[A-Z]/.test(key) && !optionOf(key).secret);
}

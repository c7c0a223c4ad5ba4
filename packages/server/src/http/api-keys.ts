import { createHash, timingSafeEqual } from "node:crypto";
import { type ApiMethodName, apiChannelMethods, type Config } from "@shardcast/config";
import { globMatches } from "../json/glob.ts";

type KeyOptions = Pick<Config, "apiKey" | "apiKeys">;

/** A key of the HTTP API and what it permits. */
export class ApiKey {
	/** Used in replies, logs and metrics. */
	readonly name: string;
	readonly #methods: readonly string[];
	readonly #channels: readonly string[];

	/** @param methods empty = all; if there are channels, all that are about channels. @param channels patterns; empty = all. */
	constructor(name: string, methods: readonly string[] = [], channels: readonly string[] = []) {
		this.name = name;
		this.#methods = methods;
		this.#channels = channels;
	}

	/** A batch is checked command by command. */
	allowsMethod(method: string): boolean {
		if (method === "batch" || this.#methods.includes(method)) return true;
		return this.#methods.length === 0 && (this.#channels.length === 0 || apiChannelMethods.has(method as ApiMethodName));
	}

	get allowsEveryChannel(): boolean {
		return this.#channels.length === 0;
	}

	/** @param channel "" = messages without a channel, which a key for some channels does not permit. */
	allowsChannel(channel: string): boolean {
		return this.allowsEveryChannel || (channel !== "" && this.#channels.some((pattern) => globMatches(pattern, channel)));
	}
}

/** Used by a server without keys. */
export const unrestrictedKey = new ApiKey("");

/** All keys of a configuration, as digests. */
export class KeyRing {
	readonly #options: KeyOptions;
	readonly #keys: { readonly digest: Uint8Array; readonly key: ApiKey }[] = [];

	constructor({ apiKey, apiKeys }: KeyOptions) {
		this.#options = { apiKey, apiKeys };
		if (apiKey !== undefined) this.#keys.push({ digest: digestOf(apiKey), key: new ApiKey(mainName) });
		for (const { name, key, formerKey, methods, channels } of apiKeys) {
			const allowed = new ApiKey(name, methods, channels);
			for (const secret of [key, formerKey]) if (secret !== undefined) this.#keys.push({ digest: digestOf(secret), key: allowed });
		}
	}

	get names(): readonly string[] {
		return [...new Set(this.#keys.map(({ key }) => key.name))];
	}

	isOf({ apiKey, apiKeys }: KeyOptions): boolean {
		return this.#options.apiKey === apiKey && this.#options.apiKeys === apiKeys;
	}

	/** Takes the same time for every key. Null = no such key. */
	find(given: string): ApiKey | null {
		const digest = digestOf(given);
		let found: ApiKey | null = null;
		for (const each of this.#keys) if (timingSafeEqual(digest, each.digest)) found = each.key;
		return found;
	}
}

/** The name of the key in `http_api.key`. */
const mainName = "http_api.key";

function digestOf(text: string): Uint8Array {
	return createHash("sha256").update(text).digest();
}

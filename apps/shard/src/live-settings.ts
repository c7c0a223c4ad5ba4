import { type Config, secretMatches } from "@shardcast/service";
import { normalizeOrigins } from "./origin.ts";

/**
 * The settings of a shard that may change while it serves. Its parts look them up at each use, so that a new one holds from the
 * next message on. One writer, `Shard.reload`.
 */
export class LiveSettings {
	#config: Config;
	#allowedOrigins: readonly string[] = [];
	#isKey: ((given: string) => boolean) | null = null;

	constructor(config: Config) {
		this.#config = config;
		this.change(config);
	}

	change(config: Config): void {
		const { apiKey, allowedOrigins } = config;
		this.#config = config;
		this.#allowedOrigins = normalizeOrigins(allowedOrigins);
		this.#isKey = apiKey === undefined ? null : (given) => secretMatches(given, apiKey);
	}

	get allowedOrigins(): readonly string[] {
		return this.#allowedOrigins;
	}

	/** Null = open: anybody may publish. */
	get isKey(): ((given: string) => boolean) | null {
		return this.#isKey;
	}

	get flushMaxMs(): number {
		return this.#config.flushMaxMs;
	}

	get drainRate(): number {
		return this.#config.drainRate;
	}
}

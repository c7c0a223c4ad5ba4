import type { Config } from "@shardcast/config";
import { type AllowedOrigins, allowedOrigins, type MayPublish, mayPublish, secretMatches } from "@shardcast/http";

/**
 * The settings of a shard that may change while it serves. Its parts look them up at each use, so that a new one holds from the
 * next message on. One writer, `Shard.reload`.
 */
export class LiveSettings {
	#config: Config;
	/** The least that any client that may still be here was let in with. */
	#bufferedBytesLeast: number;
	#allowedOrigins: AllowedOrigins = allowedOrigins([]);
	#isKey: ((given: string) => boolean) | null = null;
	#mayPublish: MayPublish;

	constructor(config: Config) {
		this.#config = config;
		this.#bufferedBytesLeast = config.maxBufferedBytes;
		this.#mayPublish = mayPublish(config);
		this.change(config);
	}

	change(config: Config): void {
		const { apiKey } = config;
		this.#config = config;
		this.#bufferedBytesLeast = Math.min(this.#bufferedBytesLeast, config.maxBufferedBytes);
		this.#allowedOrigins = allowedOrigins(config.allowedOrigins);
		this.#mayPublish = mayPublish(config);
		this.#isKey = apiKey === undefined ? null : (given) => secretMatches(given, apiKey);
	}

	/** Beside the server's own. */
	get allowedOrigins(): AllowedOrigins {
		return this.#allowedOrigins;
	}

	/** Null = open: anybody may publish. */
	get isKey(): ((given: string) => boolean) | null {
		return this.#isKey;
	}

	get mayPublish(): MayPublish {
		return this.#mayPublish;
	}

	/** What may wait for any client at least: uWebSockets.js keeps a client to the limit that it came under. */
	get bufferedBytesLeast(): number {
		return this.#bufferedBytesLeast;
	}

	/** Everything else, as it is. */
	get config(): Config {
		return this.#config;
	}
}

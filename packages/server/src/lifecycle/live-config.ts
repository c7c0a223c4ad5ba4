import { Namespaces, namespaceKeys } from "@shardcast/channels";
import { authRequired, type Config, sameValue } from "@shardcast/config";
import { type AllowedOrigins, allowedOrigins, type MayPublish, mayPublish, TrustedProxies } from "@shardcast/http";
import type { ClientSession } from "../sessions/client-session.ts";
import type { Commit } from "./feature.ts";

/**
 * The live options of a shard. Its parts read them at each use, so that new values apply from the next message on. Written by the shard only.
 */
export class LiveConfig {
	#config: Config;
	/** Number of clients by their limit of buffered bytes. Bounded by the number of clients, since entries with 0 are removed. */
	readonly #limited = new Map<number, number>();
	/** The lowest of these limits, including that of new clients. */
	#bufferedBytesLeast: number;
	#allowedOrigins: AllowedOrigins = allowedOrigins([]);
	#mayPublish: MayPublish;
	#trustedProxies = new TrustedProxies([]);
	#authRequired: boolean;
	#namespaces: Namespaces;

	constructor(config: Config) {
		this.#config = config;
		this.#bufferedBytesLeast = config.maxBufferedBytes;
		this.#mayPublish = mayPublish(config);
		this.#authRequired = authRequired(config);
		this.#namespaces = new Namespaces(config);
		this.prepare(config)();
	}

	/** See `Feature.reload`. */
	prepare(config: Config): Commit {
		const changed = namespaceKeys.some((key) => !sameValue(this.#config[key], config[key]));
		const namespaces = changed ? new Namespaces(config) : this.#namespaces;
		const origins = allowedOrigins(config.allowedOrigins);
		const publishers = mayPublish(config);
		const trustedProxies = new TrustedProxies(config.trustedProxies);
		return () => {
			this.#namespaces = namespaces;
			this.#config = config;
			this.#findLeast();
			this.#allowedOrigins = origins;
			this.#mayPublish = publishers;
			this.#trustedProxies = trustedProxies;
			this.#authRequired = authRequired(config);
		};
	}

	/** Call when a client has connected. Its transport keeps the current limit. */
	entered(session: ClientSession): void {
		const { maxBufferedBytes } = this.#config;
		session.bufferedBytesMax = maxBufferedBytes;
		this.#limited.set(maxBufferedBytes, (this.#limited.get(maxBufferedBytes) ?? 0) + 1);
	}

	/** Call when a client is gone. Does nothing for one that never connected. */
	left({ bufferedBytesMax }: ClientSession): void {
		const count = this.#limited.get(bufferedBytesMax);
		if (count === undefined) return;
		if (count > 1) this.#limited.set(bufferedBytesMax, count - 1);
		else {
			this.#limited.delete(bufferedBytesMax);
			this.#findLeast();
		}
	}

	#findLeast(): void {
		this.#bufferedBytesLeast = Math.min(this.#config.maxBufferedBytes, ...this.#limited.keys());
	}

	/** Allowed origins besides the server's own. */
	get allowedOrigins(): AllowedOrigins {
		return this.#allowedOrigins;
	}

	get trustedProxies(): TrustedProxies {
		return this.#trustedProxies;
	}

	/** Whether authentication is required. */
	get authRequired(): boolean {
		return this.#authRequired;
	}

	get mayPublish(): MayPublish {
		return this.#mayPublish;
	}

	/** The namespaces, which give the options of a channel by its name. */
	get namespaces(): Namespaces {
		return this.#namespaces;
	}

	/** The lowest limit of buffered bytes of any client: uWebSockets.js keeps the limit with which a client connected. */
	get bufferedBytesLeast(): number {
		return this.#bufferedBytesLeast;
	}

	/** All current options. */
	get config(): Config {
		return this.#config;
	}
}

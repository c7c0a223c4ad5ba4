import { Namespaces, namespaceKeys } from "@shardcast/channels";
import { authRequired, type Config, sameValue } from "@shardcast/config";
import { type AllowedOrigins, allowedOrigins, type MayPublish, mayPublish, TrustedProxies } from "@shardcast/http";
import type { ClientSession } from "../sessions/client-session.ts";
import type { Commit } from "./feature.ts";

/**
 * The options of a shard that may change while it serves. Its parts look them up at each use, so that a new one holds from the
 * next message on. One writer, the shard.
 */
export class LiveConfig {
	#config: Config;
	/** By the limit of buffered bytes that they came under: how many clients there are. Bound: the clients, since none has 0. */
	readonly #limited = new Map<number, number>();
	/** The least of those, and of what new clients get. */
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

	/** As `Feature.reload`. */
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

	/** A client has come, whose transport keeps the limit of this moment. */
	entered(session: ClientSession): void {
		const { maxBufferedBytes } = this.#config;
		session.bufferedBytesMax = maxBufferedBytes;
		this.#limited.set(maxBufferedBytes, (this.#limited.get(maxBufferedBytes) ?? 0) + 1);
	}

	/** A client is gone; nothing for one that never came. */
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

	/** Beside the server's own. */
	get allowedOrigins(): AllowedOrigins {
		return this.#allowedOrigins;
	}

	get trustedProxies(): TrustedProxies {
		return this.#trustedProxies;
	}

	/** Everybody must show who they are. */
	get authRequired(): boolean {
		return this.#authRequired;
	}

	get mayPublish(): MayPublish {
		return this.#mayPublish;
	}

	/** What holds for a channel by its name. */
	get namespaces(): Namespaces {
		return this.#namespaces;
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

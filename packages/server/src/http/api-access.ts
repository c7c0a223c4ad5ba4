import { type AuthConfig, authRequired, hasApiKey } from "@shardcast/config";
import { type HttpRequest, type Reply, refusal } from "@shardcast/http";
import { type ApiKey, KeyRing, unrestrictedKey } from "./api-keys.ts";

interface ApiAccessParts {
	/** Read at each request. */
	readonly config: AuthConfig;
}

const refused = (text: string) => refusal("forbidden", text, { close: false });
const noKey = refusal("forbidden", "this needs a key: set http_api.key, and send it as X-API-Key");

/** Decides who may use the HTTP API, by the key of a request. */
export class ApiAccess {
	readonly #parts: ApiAccessParts;
	#ring: KeyRing;
	/** Requests by name of their key, at most 1000 names. Names of removed keys stay until the process ends. */
	readonly #requests = new Map<string, number>();
	readonly #refused = { unauthorized: 0, forbidden: 0 };

	constructor(parts: ApiAccessParts) {
		this.#parts = parts;
		this.#ring = new KeyRing(parts.config);
		for (const name of this.#ring.names) this.#requests.set(name, 0);
	}

	/** For the metrics. */
	get counts(): { readonly requests: Readonly<Record<string, number>>; readonly refused: Readonly<Record<string, number>> } {
		return { requests: Object.fromEntries(this.#requests), refused: this.#refused };
	}

	/**
	 * The key of a request that may publish, or the reply that refuses it. If no key is configured, everybody may publish, unless authentication
	 * is required.
	 */
	publisher(request: HttpRequest): ApiKey | Reply {
		const { config } = this.#parts;
		if (!hasApiKey(config)) return authRequired(config) ? noKey : unrestrictedKey;
		return this.#keyFor(request, "publish", "publishing needs the key: send it as X-API-Key or Authorization: Bearer");
	}

	/**
	 * The key of a request that may read about nodes, as with the method `info`. If no key is configured, everybody may, unless authentication
	 * is required.
	 */
	reader(request: HttpRequest): ApiKey | Reply {
		const { config } = this.#parts;
		if (!hasApiKey(config)) return authRequired(config) ? noKey : unrestrictedKey;
		return this.keyFor(request, "info");
	}

	/** The key of a request that may use this method, or the reply that refuses it. If no key is configured, nobody may. */
	keyFor(request: HttpRequest, method: string): ApiKey | Reply {
		if (!hasApiKey(this.#parts.config)) return noKey;
		return this.#keyFor(request, method, "send the key as X-API-Key or Authorization: apikey");
	}

	/** The reply to a request for a channel that its key does not permit. */
	refuseChannel(key: ApiKey): Reply {
		this.#refused.forbidden++;
		return refused(`the key "${key.name}" does not permit this channel`);
	}

	#keyFor(request: HttpRequest, method: string, hint: string): ApiKey | Reply {
		const { config } = this.#parts;
		if (!this.#ring.isOf(config)) this.#ring = new KeyRing(config);
		const key = this.#ring.find(keyFrom(request));
		if (key === null) {
			this.#refused.unauthorized++;
			return refusal("unauthorized", hint, { headers: { "WWW-Authenticate": "Bearer" } });
		}
		const count = this.#requests.get(key.name);
		if (count !== undefined || this.#requests.size < namesMax) this.#requests.set(key.name, (count ?? 0) + 1);
		if (key.allowsMethod(method)) return key;
		this.#refused.forbidden++;
		return refused(`the key "${key.name}" does not permit ${method}`);
	}
}

const namesMax = 1000;

/** The key in a request; "" = none. */
function keyFrom(request: HttpRequest): string {
	const apiKey = request.header("x-api-key");
	return apiKey !== "" ? apiKey : request.header("authorization").replace(/^(bearer|apikey)\s+/i, "");
}

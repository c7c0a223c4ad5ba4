import { type AuthConfig, authRequired, hasApiKey } from "@shardcast/config";
import { type HttpRequest, type Reply, refusal } from "@shardcast/http";
import { type ApiKey, KeyRing, unrestrictedKey } from "./api-keys.ts";

interface ApiAccessParts {
	/** Read at each request. */
	readonly config: AuthConfig;
}

const refused = (text: string) => refusal("forbidden", text, { close: false });
const noKey = refusal("forbidden", "this needs a key: set http_api.key, and send it as X-API-Key");

/** Who may use the HTTP API, by the key that a request carries. */
export class ApiAccess {
	readonly #parts: ApiAccessParts;
	#ring: KeyRing;
	/** Requests by the name of their key; those of keys that are gone stay until the process ends, 1000 at most. */
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

	/** The key of a request that may publish, or why it may not. Without a key everybody may, unless everybody must show who they are. */
	publisher(request: HttpRequest): ApiKey | Reply {
		const { config } = this.#parts;
		if (!hasApiKey(config)) return authRequired(config) ? noKey : unrestrictedKey;
		return this.#keyFor(request, "publish", "publishing needs the key: send it as X-API-Key or Authorization: Bearer");
	}

	/** The key of a request that may read about the machines, as the method info. Without a key everybody may, unless everybody must show who they are. */
	reader(request: HttpRequest): ApiKey | Reply {
		const { config } = this.#parts;
		if (!hasApiKey(config)) return authRequired(config) ? noKey : unrestrictedKey;
		return this.keyFor(request, "info");
	}

	/** The key of a request that may use this method, or why it may not. Without a key nobody may. */
	keyFor(request: HttpRequest, method: string): ApiKey | Reply {
		if (!hasApiKey(this.#parts.config)) return noKey;
		return this.#keyFor(request, method, "send the key as X-API-Key or Authorization: apikey");
	}

	/** To a request for a channel that its key has no right to. */
	refuseChannel(key: ApiKey): Reply {
		this.#refused.forbidden++;
		return refused(`the key "${key.name}" has no right to this channel`);
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
		return refused(`the key "${key.name}" has no right to ${method}`);
	}
}

const namesMax = 1000;

/** The key that a request carries; "" = none. */
function keyFrom(request: HttpRequest): string {
	const apiKey = request.header("x-api-key");
	return apiKey !== "" ? apiKey : request.header("authorization").replace(/^(bearer|apikey)\s+/i, "");
}

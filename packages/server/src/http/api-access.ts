import { type AuthConfig, authRequired } from "@shardcast/config";
import { type HttpRequest, type Reply, refusal, secretMatches } from "@shardcast/http";

export interface ApiAccessParts {
	/** Read at each request. */
	readonly config: AuthConfig;
}

const noKey = refusal("forbidden", "this needs a key: set http_api.key, and send it as X-API-Key");

/** What a key of the HTTP API has a right to. */
export class ApiKey {
	/** For logs and counters. */
	readonly name: string;
	readonly #methods: readonly string[];
	readonly #channels: readonly string[];

	/** @param methods none = all. @param channels patterns; none = all. */
	constructor(name: string, methods: readonly string[] = [], channels: readonly string[] = []) {
		this.name = name;
		this.#methods = methods;
		this.#channels = channels;
	}

	allowsMethod(method: string): boolean {
		return this.#methods.length === 0 || this.#methods.includes(method) || method === "batch";
	}

	/** @param channel "" = everybody. */
	allowsChannel(_channel: string): boolean {
		return this.#channels.length === 0;
	}
}

const everything = new ApiKey("key");

/** Who may use the HTTP API, by the key that a request carries. */
export class ApiAccess {
	readonly #parts: ApiAccessParts;

	constructor(parts: ApiAccessParts) {
		this.#parts = parts;
	}

	/** Why this request may not publish; null = it may. Without a key everybody may, unless everybody must show who they are. */
	refusedToPublish(request: HttpRequest): Reply | null {
		const { config } = this.#parts;
		const { apiKey } = config;
		if (apiKey === undefined) return authRequired(config) ? noKey : null;
		if (secretMatches(keyFrom(request), apiKey)) return null;
		return refusal("unauthorized", "publishing needs the key: send it as X-API-Key or Authorization: Bearer", {
			headers: { "WWW-Authenticate": "Bearer" },
		});
	}

	/** The key of a request that may use this method, or why it may not. Without a key nobody may. */
	keyFor(request: HttpRequest, _method: string): ApiKey | Reply {
		const { apiKey } = this.#parts.config;
		if (apiKey === undefined) return noKey;
		if (secretMatches(keyFrom(request), apiKey)) return everything;
		return refusal("unauthorized", "send the key as X-API-Key or Authorization: apikey");
	}
}

/** The key that a request carries; "" = none. */
function keyFrom(request: HttpRequest): string {
	const apiKey = request.header("x-api-key");
	return apiKey !== "" ? apiKey : request.header("authorization").replace(/^(bearer|apikey)\s+/i, "");
}

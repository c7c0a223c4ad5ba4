import { type AuthConfig, authRequired } from "@shardcast/config";
import { type HttpRequest, type Reply, refusal, secretMatches } from "@shardcast/http";

export interface ApiAccessParts {
	/** Read at each request. */
	readonly config: AuthConfig;
}

const noKey = refusal("forbidden", "this needs a key: set http_api.key, and send it as X-API-Key");

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

	/** Why this request may not give orders and ask about clients; null = it may. Without a key nobody may. */
	refused(request: HttpRequest): Reply | null {
		const { apiKey } = this.#parts.config;
		if (apiKey === undefined) return noKey;
		if (secretMatches(keyFrom(request), apiKey)) return null;
		return refusal("unauthorized", "send the key as X-API-Key or Authorization: apikey");
	}
}

/** The key that a request carries; "" = none. */
function keyFrom(request: HttpRequest): string {
	const apiKey = request.header("x-api-key");
	return apiKey !== "" ? apiKey : request.header("authorization").replace(/^(bearer|apikey)\s+/i, "");
}

import { type AffinitySource, type Config, parseAffinitySource } from "@shardcast/config";
import { canonicalAddress, cookieIn, tokenIn } from "@shardcast/http";
import { type HeadParser, headerLines, queryIn } from "@shardcast/relay";
import type { SelectionKey } from "@shardcast/selection";

export type PlacementKeysConfig = Pick<Config, "lbStrategy" | "lbAffinity" | "lbAffinityFrom" | "rawTokenCookie" | "tokenUserIdClaim">;

/** Of a connection whose strategy needs to know nothing of it. */
export const noKey: SelectionKey = { address: "", user: "" };

/** A longer id is no id: user ids are at most 255 bytes. */
const idCharactersMax = 255;
/** Of the claims in a token, encoded. Longer ones are not read, so that a client cannot keep the balancer busy with them. */
const claimsCharactersMax = 4096;

const defaultSources = {
	none: [],
	user: ["token", "query:user"],
	connection: ["query:connection"],
	hash: ["token", "query:user", "query:connection"],
} as const;

/**
 * What the strategy and the affinity need to know of a client, from the head of its request. Nothing of it is verified, and anybody may write
 * anything there: it decides only which shard comes first, and must not be used for anything else. One owner.
 */
export class PlacementKeys {
	#needsAddress = false;
	#takesAddress = false;
	#sources: readonly AffinitySource[] = [];
	#tokenCookie = "";
	#userClaim = "sub";

	constructor(config: PlacementKeysConfig) {
		this.use(config);
	}

	use({ lbStrategy, lbAffinity, lbAffinityFrom, rawTokenCookie, tokenUserIdClaim }: PlacementKeysConfig): void {
		const from = lbAffinity === "none" || lbAffinityFrom.length === 0 ? defaultSources[lbAffinity] : lbAffinityFrom;
		this.#sources = from.map(parseAffinitySource);
		this.#takesAddress = lbAffinity === "hash";
		this.#needsAddress = this.#takesAddress || lbStrategy === "ip_hash";
		this.#tokenCookie = rawTokenCookie;
		this.#userClaim = tokenUserIdClaim || "sub";
	}

	/** @param head complete. @param bytes as parsed. @param client returns the client's address; called only if it matters. */
	of(head: HeadParser, bytes: Buffer, client: () => string): SelectionKey {
		if (!this.#needsAddress && this.#sources.length === 0) return noKey;
		return this.#key(this.#sources.length === 0 ? "" : this.#idIn(head, bytes), client);
	}

	/** For a request that cannot be read, because it is encrypted. */
	ofUnreadable(client: () => string): SelectionKey {
		return this.#needsAddress ? this.#key("", client) : noKey;
	}

	#key(id: string, client: () => string): SelectionKey {
		const address = this.#needsAddress ? canonicalAddress(client()) : "";
		return { address, user: id === "" && this.#takesAddress ? address : id };
	}

	/** The first id that is there; "" = none. */
	#idIn(head: HeadParser, bytes: Buffer): string {
		for (const source of this.#sources) {
			const id = this.#read(source, head, bytes);
			if (id !== "" && id.length <= idCharactersMax) return id;
		}
		return "";
	}

	#read(source: AffinitySource, head: HeadParser, bytes: Buffer): string {
		const header = (name: string) => headerLines(bytes, head.bytes, name).trim();
		switch (source.in) {
			case "query":
				return new URLSearchParams(queryIn(head, bytes)).get(source.name) ?? "";
			case "cookie":
				return utf8(cookieIn(header("cookie"), source.name));
			case "header":
				return utf8(header(source.name));
			default:
				return claimIn(tokenIn({ query: queryIn(head, bytes), header }, this.#tokenCookie), this.#userClaim);
		}
	}
}

/** The parser keeps bytes as characters. */
function utf8(latin1: string): string {
	return Buffer.from(latin1, "latin1").toString();
}

/** A claim of a token, which is NOT verified; "" = there is none that is text. */
function claimIn(token: string, name: string): string {
	const from = token.indexOf(".") + 1;
	const to = token.indexOf(".", from);
	if (from === 0 || to < 0 || to - from > claimsCharactersMax) return "";
	try {
		const claims: unknown = JSON.parse(Buffer.from(token.slice(from, to), "base64url").toString());
		const claim = typeof claims === "object" && claims !== null && Object.hasOwn(claims, name) ? claims[name as keyof typeof claims] : "";
		return typeof claim === "string" ? claim : "";
	} catch {
		// It is no token. The shard says so to the client.
		return "";
	}
}

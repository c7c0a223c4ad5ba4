import { jwksNames, jwksPart } from "@shardcast/config";
import type { CryptoKey, createRemoteJWKSet, FlattenedJWSInput, JWTHeaderParameters } from "jose";
import { jose } from "./jose.ts";

/** How long a request for a key set may take, in milliseconds. */
const fetchMs = 3000;
/** A longer key set is refused. */
const replyBytesMax = 1024 * 1024;
/** The most key sets that are kept. Beyond it, the least recently used one is dropped, and fetched again when it is needed. */
const setsMax = 64;

/** The key set could not be fetched, or the response is not a key set. */
export class KeysUnavailable extends Error {}

/** The token provides a value for the key set's URL that cannot be part of a URL. */
class KeySetUnknown extends Error {}

interface KeySetsRules {
	/** URL; `{{name}}` stands for the group of this name in `issuer_regex` or `audience_regex`. */
	readonly endpoint: string;
	readonly issuer: RegExp | null;
	readonly audience: RegExp | null;
}

type KeySet = ReturnType<typeof createRemoteJWKSet>;

/**
 * The keys for tokens. They are fetched when the first token arrives, again after ten minutes, and when a key is not in the set, but at most
 * every 30 s; concurrent requests are shared. If the URL contains a name, each URL has its own set: a key of one is never used for another.
 */
export class KeySets {
	readonly #rules: KeySetsRules;
	readonly #names: readonly string[];
	/** By URL, the most recently used last. */
	readonly #sets = new Map<string, KeySet>();

	constructor(rules: KeySetsRules) {
		this.#rules = rules;
		this.#names = jwksNames(rules.endpoint);
	}

	/**
	 * The key that the token names. Nothing of the token has been verified yet.
	 * @throws KeysUnavailable; KeySetUnknown; an error of jose when the set has no such key.
	 */
	async keyFor(header: JWTHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> {
		const library = await jose();
		const { errors } = library;
		const set = this.#set(this.#names.length === 0 ? this.#rules.endpoint : this.#filled(token, library), library);
		try {
			return await set(header);
		} catch (error) {
			const isToken = error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys;
			if (isToken || error instanceof errors.JOSENotSupported) throw error;
			throw new KeysUnavailable("no keys", { cause: error });
		}
	}

	#set(address: string, { createRemoteJWKSet, customFetch }: typeof import("jose")): KeySet {
		const found =
			this.#sets.get(address) ?? createRemoteJWKSet(new URL(address), { timeoutDuration: fetchMs, [customFetch]: fetchBounded });
		this.#sets.delete(address);
		this.#sets.set(address, found);
		if (this.#sets.size > setsMax) this.#sets.delete(this.#sets.keys().next().value!);
		return found;
	}

	#filled({ protected: head, payload }: FlattenedJWSInput, { decodeJwt }: typeof import("jose")): string {
		const { iss, aud } = decodeJwt(`${head}.${payload as string}.`);
		const { issuer, audience, endpoint } = this.#rules;
		const groups: Record<string, string | undefined> = {};
		for (const one of typeof aud === "string" ? [aud] : (aud ?? [])) Object.assign(groups, audience?.exec(one)?.groups);
		if (typeof iss === "string") Object.assign(groups, issuer?.exec(iss)?.groups);
		return endpoint.replace(jwksPart, (_, name: string) => {
			const value = groups[name] ?? "";
			// Dots alone would lead to another directory.
			if (!/^[-\w.~]{1,128}$/.test(value) || /^\.+$/.test(value))
				throw new KeySetUnknown(`its iss and aud have no value for {{${name}}} in the URL of the key set`);
			return value;
		});
	}
}

/** Refuses a response that is too long before it has been read completely. */
async function fetchBounded(url: string, options: RequestInit): Promise<Response> {
	const response = await fetch(url, options);
	const parts: Uint8Array[] = [];
	let bytes = 0;
	for await (const part of response.body ?? []) {
		bytes += (part as Uint8Array).length;
		if (bytes > replyBytesMax) throw new Error(`the key set has more than ${replyBytesMax} bytes`);
		parts.push(part as Uint8Array);
	}
	return new Response(Buffer.concat(parts), { status: response.status });
}

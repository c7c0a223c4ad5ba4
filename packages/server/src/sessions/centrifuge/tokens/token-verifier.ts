import { createPublicKey } from "node:crypto";
import { type Config, parseRegex } from "@shardcast/config";
import { isUserIdTooLong, userIdBytesMax } from "@shardcast/wire";
import type { CryptoKey, errors, FlattenedJWSInput, JWTHeaderParameters, JWTPayload, KeyObject } from "jose";
import { FieldError } from "../../../json/fields.ts";
import { jose } from "./jose.ts";
import { KeySets, KeysUnavailable } from "./token-verifier-key-sets.ts";
import { VerificationTurns } from "./verification-turns.ts";

/** The rules for one kind of token. */
export interface TokenRules {
	readonly hmacSecret: string | undefined;
	/** PEM; "" = tokens with this algorithm are invalid. */
	readonly rsaPublicKey: string;
	readonly ecdsaPublicKey: string;
	/** URL of a JSON Web Key Set, whose keys replace those above; "" = none. */
	readonly jwksEndpoint: string;
	/** "" = not checked. */
	readonly audience: string;
	readonly audienceRegex: string;
	readonly issuer: string;
	readonly issuerRegex: string;
	/** The claim that contains the user; "" = `sub`. */
	readonly userIdClaim: string;
}

export const connectionTokenRules = (config: Config): TokenRules => ({
	hmacSecret: config.tokenHmacSecret,
	rsaPublicKey: config.tokenRsaPublicKey,
	ecdsaPublicKey: config.tokenEcdsaPublicKey,
	jwksEndpoint: config.tokenJwksEndpoint,
	audience: config.tokenAudience,
	audienceRegex: config.tokenAudienceRegex,
	issuer: config.tokenIssuer,
	issuerRegex: config.tokenIssuerRegex,
	userIdClaim: config.tokenUserIdClaim,
});

/** The same as for connection tokens, unless `client.subscription_token` is enabled. */
export const subscriptionTokenRules = (config: Config): TokenRules =>
	config.subscriptionTokenEnabled
		? {
				hmacSecret: config.subscriptionTokenHmacSecret,
				rsaPublicKey: config.subscriptionTokenRsaPublicKey,
				ecdsaPublicKey: config.subscriptionTokenEcdsaPublicKey,
				jwksEndpoint: config.subscriptionTokenJwksEndpoint,
				audience: config.subscriptionTokenAudience,
				audienceRegex: config.subscriptionTokenAudienceRegex,
				issuer: config.subscriptionTokenIssuer,
				issuerRegex: config.subscriptionTokenIssuerRegex,
				userIdClaim: config.subscriptionTokenUserIdClaim,
			}
		: connectionTokenRules(config);

/**
 * Why a token is refused. `expired` also means "not valid yet". `unavailable`: the keys could not be fetched, so the token could not be checked.
 */
export type TokenProblem = "expired" | "invalid" | "unavailable";

/** Events about tokens that clients are not told. */
export interface TokenEvents {
	/** Called each time the key set cannot be fetched. */
	readonly unavailable?: (error: unknown) => void;
	/** Why a token that is otherwise valid is revoked; null = it is not. */
	readonly revoked?: (verified: VerifiedToken) => string | null;
	/** Called for each token whose user id is too long, which makes it invalid. */
	readonly userIdTooLong?: () => void;
	/** Called for each invalid token with the reason, which never contains parts of the token. */
	readonly invalid?: (why: string) => void;
}

export interface VerifiedToken {
	/** "" = anonymous. */
	readonly user: string;
	readonly claims: JWTPayload;
}

type Key = Uint8Array | KeyObject | CryptoKey;

/** Algorithms for key sets. Never HMAC, because a key set is public. */
const publicAlgorithms = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA"];
/** Verifies JWTs of one kind. Without a key, no token is valid. */
export class TokenVerifier {
	readonly rules: TokenRules;
	/** By the prefix of the algorithm's name. */
	readonly #keys = new Map<string, Key>();
	/** As the library uses them, by algorithm: from bytes, it would make another one for each token. */
	readonly #hmacKeys = new Map<string, Promise<CryptoKey>>();
	readonly #keySets: KeySets | null;
	readonly #algorithms: string[];
	readonly #told: TokenEvents;
	readonly #turns: VerificationTurns;
	readonly #audience: RegExp | null;
	readonly #issuer: RegExp | null;

	/** @param rules must be valid. @param turns shared by all verifiers of a loop. */
	constructor(rules: TokenRules, told: TokenEvents = {}, turns = new VerificationTurns()) {
		this.#turns = turns;
		const { hmacSecret, rsaPublicKey, ecdsaPublicKey, jwksEndpoint, audienceRegex, issuerRegex } = rules;
		this.#told = told;
		this.rules = rules;
		this.#audience = audienceRegex === "" ? null : parseRegex(audienceRegex);
		this.#issuer = issuerRegex === "" ? null : parseRegex(issuerRegex);
		this.#keySets = jwksEndpoint === "" ? null : new KeySets({ endpoint: jwksEndpoint, issuer: this.#issuer, audience: this.#audience });
		if (hmacSecret !== undefined) this.#keys.set("HS", Buffer.from(hmacSecret));
		if (rsaPublicKey !== "") this.#keys.set("RS", createPublicKey(rsaPublicKey));
		if (ecdsaPublicKey !== "") this.#keys.set("ES", createPublicKey(ecdsaPublicKey));
		this.#algorithms =
			this.#keySets !== null
				? publicAlgorithms
				: [...this.#keys.keys()].flatMap((family) => [`${family}256`, `${family}384`, `${family}512`]);
		// Loaded now, so that the first token does not have to wait for it.
		if (this.#algorithms.length > 0) void jose();
	}

	/** Never rejects. */
	async verify(token: string): Promise<VerifiedToken | TokenProblem> {
		if (this.#algorithms.length === 0) return this.invalid("there is no key for it");
		const { errors, jwtVerify } = await jose();
		let hasBegun = false;
		try {
			const keyFor = async (header: JWTHeaderParameters, parts: FlattenedJWSInput): Promise<Key> => {
				const key = await this.#keyFor(header, parts);
				// Taken only now, so that nobody waits behind a token whose key has to be fetched.
				await this.#turns.begin();
				hasBegun = true;
				return key;
			};
			const { payload } = await jwtVerify(token, keyFor, { algorithms: this.#algorithms });
			return this.#checked(payload);
		} catch (error) {
			if (error instanceof KeysUnavailable) {
				this.#told.unavailable?.(error.cause);
				return "unavailable";
			}
			const why = this.#whyNot(error, errors);
			if (!(error instanceof errors.JWTExpired) && !(error instanceof errors.JWTClaimValidationFailed)) return this.invalid(why);
			const { reason, claim, payload } = error;
			if (reason !== "check_failed" || (claim !== "exp" && claim !== "nbf")) return this.invalid(why);
			return this.#checked(payload) === "invalid" ? "invalid" : "expired";
		} finally {
			if (hasBegun) this.#turns.end();
		}
	}

	/** Reports the reason. The client learns only that the token is invalid. */
	invalid(why: string): "invalid" {
		this.#told.invalid?.(why);
		return "invalid";
	}

	/** The library's message, or a clearer one. */
	#whyNot(error: unknown, known: typeof errors): string {
		if (error instanceof known.JOSEAlgNotAllowed)
			return `there is no key for the algorithm in its header; there are keys for ${this.#algorithms.join(", ")}`;
		if (error instanceof known.JWSInvalid) return "it is not a JSON Web Token: three parts in Base64url, with dots between them";
		return error instanceof Error ? error.message : String(error);
	}

	async #keyFor(header: JWTHeaderParameters, token: FlattenedJWSInput): Promise<Key> {
		if (this.#keySets !== null) return this.#keySets.keyFor(header, token);
		const key = this.#keys.get(header.alg.slice(0, 2))!;
		return key instanceof Uint8Array ? this.#hmacKey(header.alg, key) : key;
	}

	#hmacKey(algorithm: string, secret: Uint8Array): Promise<CryptoKey> {
		const present = this.#hmacKeys.get(algorithm);
		if (present !== undefined) return present;
		const hash = `SHA-${algorithm.slice(2)}`;
		const key = crypto.subtle.importKey("raw", secret, { name: "HMAC", hash }, false, ["verify"]);
		this.#hmacKeys.set(algorithm, key);
		return key;
	}

	#checked(claims: JWTPayload): VerifiedToken | "invalid" {
		const { audience, issuer, userIdClaim } = this.rules;
		const { iss = "", aud = [] } = claims;
		const audiences = typeof aud === "string" ? [aud] : aud;
		if (!Array.isArray(audiences) || typeof iss !== "string") return this.invalid("aud is not a list of strings, or iss is not a string");
		if (audience !== "" && !audiences.includes(audience)) return this.invalid("aud does not contain the audience");
		if (issuer !== "" && iss !== issuer) return this.invalid("iss is not the issuer");
		const regex = this.#audience;
		if (regex !== null && !audiences.some((one) => typeof one === "string" && regex.test(one)))
			return this.invalid("aud does not match audience_regex");
		if (this.#issuer !== null && !this.#issuer.test(iss)) return this.invalid("iss does not match issuer_regex");
		const user = claims[userIdClaim || "sub"] ?? "";
		// In a claim other than `sub`, the user may be a number.
		if (typeof user !== "string" && (userIdClaim === "" || typeof user !== "number")) return this.invalid("the user is not a string");
		if (isUserIdTooLong(String(user))) {
			this.#told.userIdTooLong?.();
			return this.invalid(`the user id has more than ${userIdBytesMax} bytes`);
		}
		const verified = { user: String(user), claims };
		const revoked = this.#told.revoked?.(verified) ?? null;
		return revoked === null ? verified : this.invalid(revoked);
	}
}

/**
 * Verifies a token and reads its claims. Never rejects.
 * @param claimsOf throws FieldError when a claim is invalid.
 */
export async function verifyClaims<T>(
	verifier: TokenVerifier,
	token: string,
	claimsOf: (verified: VerifiedToken) => T,
): Promise<T | TokenProblem> {
	const verified = await verifier.verify(token);
	if (typeof verified === "string") return verified;
	try {
		return claimsOf(verified);
	} catch (error) {
		if (error instanceof FieldError) return verifier.invalid(error.message);
		throw error;
	}
}

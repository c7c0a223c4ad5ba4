import { errors, type JWTPayload, jwtVerify } from "jose";

/** What a connection token says. */
export interface TokenClaims {
	/** "" = nobody in particular. */
	readonly user: string;
	/** JSON for other clients to see; null = none. */
	readonly info: Uint8Array | null;
	/** Seconds since 1970; Infinity = never. */
	readonly expiresAt: number;
}

const algorithms = ["HS256", "HS384", "HS512"];

/** Checks the tokens (JWT) that clients connect with. Without a key no token is valid. */
export class TokenVerifier {
	readonly #key: Uint8Array | null;

	/** @param secret `client.token.hmac_secret_key` */
	constructor(secret: string | undefined) {
		this.#key = secret === undefined ? null : Buffer.from(secret);
	}

	/** Never rejects. `expired`: it is not valid at this time, also not yet. */
	async verify(token: string): Promise<TokenClaims | "expired" | "invalid"> {
		if (this.#key === null) return "invalid";
		try {
			const { payload } = await jwtVerify(token, this.#key, { algorithms });
			return claimsOf(payload);
		} catch (error) {
			if (error instanceof errors.JWTExpired) return "expired";
			if (error instanceof errors.JWTClaimValidationFailed && error.claim === "nbf" && error.reason === "check_failed") return "expired";
			return "invalid";
		}
	}
}

function claimsOf({ sub, exp, ...claims }: JWTPayload): TokenClaims | "invalid" {
	const { info, b64info, expire_at: expireAt } = claims as Readonly<Record<string, unknown>>;
	if (sub !== undefined && typeof sub !== "string") return "invalid";
	if (expireAt !== undefined && typeof expireAt !== "number") return "invalid";
	if (b64info !== undefined && typeof b64info !== "string") return "invalid";
	const json = b64info === undefined ? JSON.stringify(info ?? null) : Buffer.from(b64info, "base64").toString();
	// `expire_at` counts instead of `exp` when there is one; 0 = never.
	const expiresAt = expireAt === undefined ? exp : expireAt || undefined;
	return {
		user: sub ?? "",
		info: info === undefined && b64info === undefined ? null : Buffer.from(json),
		expiresAt: expiresAt ?? Number.POSITIVE_INFINITY,
	};
}

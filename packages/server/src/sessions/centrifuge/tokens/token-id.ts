/** What a token can be revoked by. Kept as long as the token's grant. */
export interface TokenId {
	/** Undefined = none, or too long to be revoked. */
	readonly jti: string | undefined;
	/** Seconds since 1970; undefined = the token has no such claim. */
	readonly iat: number | undefined;
}

/** The most characters of a token id that can be revoked. */
export const revokedIdLengthMax = 255;

const nameless: TokenId = { jti: undefined, iat: undefined };

/** All tokens that have neither share one object. */
export function tokenIdOf({ jti, iat }: { readonly jti?: unknown; readonly iat?: unknown }): TokenId {
	const id = typeof jti === "string" && jti.length <= revokedIdLengthMax ? jti : undefined;
	return id === undefined && typeof iat !== "number" ? nameless : { jti: id, iat: typeof iat === "number" ? iat : undefined };
}

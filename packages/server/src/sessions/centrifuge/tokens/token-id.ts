/** What a token can be revoked by. Kept as long as what the token permits. */
export interface TokenId {
	/** Undefined = none, or one that is too long to be revoked. */
	readonly jti: string | undefined;
	/** Seconds since 1970; undefined = it does not say. */
	readonly iat: number | undefined;
}

/** An id that is revoked has at most so many characters. */
export const revokedIdLengthMax = 255;

const nameless: TokenId = { jti: undefined, iat: undefined };

/** One object for all tokens that have neither. */
export function tokenIdOf({ jti, iat }: { readonly jti?: unknown; readonly iat?: unknown }): TokenId {
	const id = typeof jti === "string" && jti.length <= revokedIdLengthMax ? jti : undefined;
	return id === undefined && typeof iat !== "number" ? nameless : { jti: id, iat: typeof iat === "number" ? iat : undefined };
}

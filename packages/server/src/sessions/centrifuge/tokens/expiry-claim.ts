import { FieldError, type Fields } from "../../../json/fields.ts";

/**
 * When a token's grant expires, in seconds since 1970; Infinity = never. `expire_at` takes precedence over `exp`; an `expire_at` of 0 means
 * never.
 */
export function expiryClaim(claims: Fields): number {
	const { exp, expire_at: expireAt } = claims;
	if (expireAt !== undefined && expireAt !== null) {
		if (typeof expireAt !== "number") throw new FieldError("expire_at is not a number");
		return expireAt > 0 ? expireAt : Number.POSITIVE_INFINITY;
	}
	return typeof exp === "number" ? exp : Number.POSITIVE_INFINITY;
}

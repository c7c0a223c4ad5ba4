/** The field has 32 bits. The limit also protects clients from a backend that sends milliseconds. */
const ttlMax = 0xffff_ffff;

/** The expiry fields for a client that has to send another token in time. Null = it has already expired. Arguments are in seconds since 1970. */
export function expiry(expiresAt: number, now: number): { readonly expires?: true; readonly ttl?: number } | null {
	if (expiresAt === Number.POSITIVE_INFINITY) return {};
	// At least 1: 0 would tell the client that it does not expire.
	return expiresAt > now ? { expires: true, ttl: Math.min(Math.ceil(expiresAt - now), ttlMax) } : null;
}

/** The field has 32 bits: a backend that gives milliseconds must not make clients come back at once. */
const ttlMax = 0xffff_ffff;

/** What a client is told that has to bring another token in time. Null = its time is over already. Both in seconds since 1970. */
export function expiry(expiresAt: number, now: number): { readonly expires?: true; readonly ttl?: number } | null {
	if (expiresAt === Number.POSITIVE_INFINITY) return {};
	// A whole number from 1: 0 would tell the client that it does not expire.
	return expiresAt > now ? { expires: true, ttl: Math.min(Math.ceil(expiresAt - now), ttlMax) } : null;
}

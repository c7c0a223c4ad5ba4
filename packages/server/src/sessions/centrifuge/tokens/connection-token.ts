import {
	ClaimError,
	type Claims,
	expiryClaim,
	infoClaim,
	type Override,
	overrideClaim,
	payloadClaim,
	tableClaim,
	textClaim,
} from "./claims.ts";
import { type TokenProblem, type TokenVerifier, type VerifiedToken, verifyClaims } from "./token-verifier.ts";

/** A channel to which a token subscribes the client. */
export interface GrantedSubscription {
	/** JSON for other clients to see; null = none. */
	readonly info: Uint8Array | null;
	/** Sent to the client; null = none. */
	readonly data: Uint8Array | null;
	readonly override: Override;
}

/** The claims of a connection token. */
export interface ConnectionClaims {
	/** "" = anonymous. */
	readonly user: string;
	/** JSON for other clients to see; null = none. */
	readonly info: Uint8Array | null;
	/** JSON that is never sent to clients; null = none. */
	readonly meta: Uint8Array | null;
	/** Seconds since 1970; Infinity = never. */
	readonly expiresAt: number;
	/** By channel. */
	readonly subscriptions: ReadonlyMap<string, GrantedSubscription>;
}

const nothing: GrantedSubscription = { info: null, data: null, override: {} };

/** Never rejects. */
export function verifyConnectionToken(verifier: TokenVerifier, token: string): Promise<ConnectionClaims | TokenProblem> {
	return verifyClaims(verifier, token, claimsOf);
}

function claimsOf({ user, claims }: VerifiedToken): ConnectionClaims {
	// A subscription token must not open a connection.
	if (textClaim(claims, "channel") !== "") throw new ClaimError("it is a subscription token");
	return {
		user,
		info: infoClaim(claims),
		meta: payloadClaim({ meta: claims.meta }, "meta"),
		expiresAt: expiryClaim(claims),
		subscriptions: subscriptionsOf(claims),
	};
}

/** `subs` takes precedence over `channels`. */
function subscriptionsOf(claims: Claims): ReadonlyMap<string, GrantedSubscription> {
	const subs = Object.entries(tableClaim(claims, "subs") ?? {});
	if (subs.length > 0) return new Map(subs.map(([channel]) => [channel, grantOf(tableClaim(claims.subs as Claims, channel) ?? {})]));
	const channels = claims.channels ?? [];
	if (!Array.isArray(channels) || channels.some((name) => typeof name !== "string"))
		throw new ClaimError("channels is not a list of names");
	return new Map(channels.map((name: string) => [name, nothing]));
}

function grantOf(claims: Claims): GrantedSubscription {
	return { info: infoClaim(claims), data: payloadClaim(claims, "data"), override: overrideClaim(claims) };
}

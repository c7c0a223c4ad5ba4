import {
	FieldError,
	type Fields,
	infoField,
	type Override,
	overrideField,
	payloadField,
	tableField,
	textField,
} from "../../../json/fields.ts";
import { expiryClaim } from "./expiry-claim.ts";
import { type TokenId, tokenIdOf } from "./token-id.ts";
import { type TokenProblem, type TokenVerifier, type VerifiedToken, verifyClaims } from "./token-verifier.ts";

/** A channel that a token subscribes its client to. */
export interface GrantedSubscription {
	/** JSON that other clients may see; null = none. */
	readonly info: Uint8Array | null;
	/** Sent to the client; null = none. */
	readonly data: Uint8Array | null;
	readonly override: Override;
}

/** The claims of a connection token. */
export interface ConnectionClaims {
	/** "" = anonymous. */
	readonly user: string;
	/** JSON that other clients may see; null = none. */
	readonly info: Uint8Array | null;
	/** JSON that is never sent to clients; null = none. */
	readonly meta: Uint8Array | null;
	/** Seconds since 1970; Infinity = never. */
	readonly expiresAt: number;
	/** By channel. */
	readonly subscriptions: ReadonlyMap<string, GrantedSubscription>;
	readonly token: TokenId;
}

const nothing: GrantedSubscription = { info: null, data: null, override: {} };

/** Never rejects. */
export function verifyConnectionToken(verifier: TokenVerifier, token: string): Promise<ConnectionClaims | TokenProblem> {
	return verifyClaims(verifier, token, claimsOf);
}

function claimsOf({ user, claims }: VerifiedToken): ConnectionClaims {
	// A subscription token must not open a connection.
	if (textField(claims, "channel") !== "") throw new FieldError("it is a subscription token");
	return {
		user,
		info: infoField(claims),
		meta: payloadField({ meta: claims.meta }, "meta"),
		expiresAt: expiryClaim(claims),
		subscriptions: subscriptionsOf(claims),
		token: tokenIdOf(claims),
	};
}

/** `subs` takes precedence over `channels`. */
function subscriptionsOf(claims: Fields): ReadonlyMap<string, GrantedSubscription> {
	const subs = Object.entries(tableField(claims, "subs") ?? {});
	if (subs.length > 0) return new Map(subs.map(([channel]) => [channel, grantOf(tableField(claims.subs as Fields, channel) ?? {})]));
	const channels = claims.channels ?? [];
	if (!Array.isArray(channels) || channels.some((name) => typeof name !== "string"))
		throw new FieldError("channels is not a list of names");
	return new Map(channels.map((name: string) => [name, nothing]));
}

function grantOf(claims: Fields): GrantedSubscription {
	return { info: infoField(claims), data: payloadField(claims, "data"), override: overrideField(claims) };
}

import { type Channel, connectDisconnect, Namespaces, subscribeError } from "@shardcast/channels";
import type { Config } from "@shardcast/config";
import { verifyConnectionToken } from "./connection-token.ts";
import { verifySubscriptionToken } from "./subscription-token.ts";
import { decodeToken } from "./token-signer.ts";
import { connectionTokenRules, subscriptionTokenRules, TokenVerifier } from "./token-verifier.ts";

/** How a server with this configuration judges a token. */
interface CheckedToken {
	/** A token with the claim `channel` is a subscription token. */
	readonly kind: "connection" | "subscription";
	/** The contents of the token, valid or not; null = it cannot be decoded. */
	readonly header: object | null;
	readonly claims: object | null;
	/** Why it is refused; null = it is valid. */
	readonly problem: string | null;
	/** The user of a valid token; "" = anonymous. */
	readonly user: string;
	/** When its grant expires, in seconds since 1970; Infinity = never. */
	readonly expiresAt: number;
}

/** Checks a token as a server does, and explains a refusal. Fetches the key set if one is configured. Never rejects. */
export async function checkToken(token: string, config: Config): Promise<CheckedToken> {
	const decoded = decodeToken(token);
	const kind = decoded !== null && typeof decoded.claims.channel === "string" ? "subscription" : "connection";
	const rules = kind === "connection" ? connectionTokenRules(config) : subscriptionTokenRules(config);
	let why = "";
	const verifier = new TokenVerifier(rules, {
		invalid: (reason) => {
			why = reason;
		},
		unavailable: (error) => {
			why = `the keys could not be fetched from ${rules.jwksEndpoint}: ${error instanceof Error ? error.message : String(error)}`;
		},
	});
	const verified = await (kind === "connection" ? verifyConnectionToken(verifier, token) : verifySubscriptionToken(verifier, token));
	const parts = { kind, header: decoded?.header ?? null, claims: decoded?.claims ?? null } as const;
	if (typeof verified !== "string") {
		const { user, expiresAt } = verified;
		return { ...parts, problem: refusedFor(verified, config), user, expiresAt };
	}
	const problem = verified === "expired" ? whenValid(decoded?.claims ?? {}) : why;
	return { ...parts, problem, user: "", expiresAt: Number.POSITIVE_INFINITY };
}

/** Checks whether the configuration accepts what a valid token grants. */
function refusedFor(
	claims: { readonly user: string; readonly expiresAt: number; readonly channel?: string },
	config: Config,
): string | null {
	if (claims.expiresAt <= Date.now() / 1000) return whenValid({ exp: claims.expiresAt });
	if (claims.channel === undefined)
		return connectDisconnect(claims.user, config) === null
			? null
			: "it names no user, and client.disallow_anonymous_connection_tokens is set";
	const channel: Channel = new Namespaces(config).of(claims.channel);
	const error = subscribeError(channel, { user: claims.user, insecure: false, hasToken: true });
	return error === null ? null : `its channel "${claims.channel}" cannot be subscribed to (error ${error}): see channel.namespaces`;
}

function whenValid({ exp, nbf }: { readonly exp?: number; readonly nbf?: number }): string {
	const at = (seconds: number) => (Math.abs(seconds) < 8.64e12 ? new Date(seconds * 1000).toISOString() : String(seconds));
	if (nbf !== undefined && nbf > Date.now() / 1000) return `it is not valid before ${at(nbf)}`;
	return exp === undefined ? "it has expired" : `it expired at ${at(exp)}`;
}

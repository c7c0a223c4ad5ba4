import { FieldError, infoField, overrideField, payloadField, textField } from "../../../json/fields.ts";
import type { GrantedSubscription } from "./connection-token.ts";
import { expiryClaim } from "./expiry-claim.ts";
import { type TokenId, tokenIdOf } from "./token-id.ts";
import { type TokenProblem, type TokenVerifier, type VerifiedToken, verifyClaims } from "./token-verifier.ts";

/** The claims of a subscription token: who may subscribe to which channel. */
export interface SubscriptionClaims extends GrantedSubscription {
	/** "" = anonymous. */
	readonly user: string;
	readonly channel: string;
	/** The id of the client that may use it; "" = any client of the user. */
	readonly client: string;
	/** Seconds since 1970; Infinity = never. */
	readonly expiresAt: number;
	readonly token: TokenId;
}

/** Never rejects. */
export function verifySubscriptionToken(verifier: TokenVerifier, token: string): Promise<SubscriptionClaims | TokenProblem> {
	return verifyClaims(verifier, token, claimsOf);
}

function claimsOf({ user, claims }: VerifiedToken): SubscriptionClaims {
	const channel = textField(claims, "channel");
	if (channel === "") throw new FieldError("it names no channel");
	return {
		user,
		channel,
		client: textField(claims, "client"),
		expiresAt: expiryClaim(claims),
		info: infoField(claims),
		data: payloadField(claims, "data"),
		override: overrideField(claims),
		token: tokenIdOf(claims),
	};
}

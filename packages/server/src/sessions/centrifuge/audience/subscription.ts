import type { Audience } from "../../../hub/audience.ts";

/** What a token says about a subscription. */
export interface SubscriptionGrant {
	/** JSON for other clients to see; null = none. */
	readonly info: Uint8Array | null;
	/** Seconds since 1970; Infinity = never. */
	readonly expiresAt: number;
}

/** Bits of what holds for one subscription. */
export const SubscriptionTrait = {
	/** Others may see that it is there. */
	present: 1,
	/** The server has subscribed the client, which did not ask. */
	serverSide: 2,
} as const;

/** A client listens to a channel. One object for each: mind its size. */
export class Subscription {
	readonly channel: string;
	/** Of the channel, in the client's encoding. */
	readonly audience: Audience;
	readonly #traits: number;
	/** Null = no token says anything. */
	grant: SubscriptionGrant | null;

	/** @param traits bits of `SubscriptionTrait`. */
	constructor(channel: string, audience: Audience, traits: number, grant: SubscriptionGrant | null) {
		this.channel = channel;
		this.audience = audience;
		this.#traits = traits;
		this.grant = grant;
	}

	get isPresent(): boolean {
		return (this.#traits & SubscriptionTrait.present) !== 0;
	}

	get isServerSide(): boolean {
		return (this.#traits & SubscriptionTrait.serverSide) !== 0;
	}
}

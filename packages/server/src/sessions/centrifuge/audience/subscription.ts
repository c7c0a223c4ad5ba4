import type { TagFilter } from "@shardcast/channels";
import type { ChannelOptions } from "@shardcast/config";
import type { Audience } from "../../../hub/audience.ts";
import type { CentrifugeSession } from "../centrifuge-session.ts";
import type { TokenId } from "../tokens/token-id.ts";
import { DeltaEncoder } from "./delta-encoder.ts";

/** What a token or a backend grants for a subscription. */
export interface SubscriptionGrant {
	/** JSON that other clients may see; null = none. */
	readonly info: Uint8Array | null;
	/** Seconds since 1970; Infinity = never. */
	readonly expiresAt: number;
	/** The subscription token; absent = granted by the backend or the connection token. */
	readonly token?: TokenId;
}

/** What a subscriber has chosen to receive, compared with the plain publications. */
export interface SubscriptionView {
	/** Null = all publications. */
	readonly filter: TagFilter | null;
	/** Whether the subscriber takes deltas. */
	readonly delta: boolean;
}

export const wholeView: SubscriptionView = { filter: null, delta: false };

/** The bits of `Subscription.traits`. */
export const SubscriptionTrait = {
	/** Presence lists it. */
	present: 1,
	/** The server subscribed the client, which did not ask. */
	serverSide: 2,
	/** The connection token requires the subscription. */
	byConnectionToken: 4,
	/** Joins and leaves of this client are announced to other subscribers. */
	announced: 8,
	/** The client receives joins and leaves of other subscribers. */
	receivesJoins: 16,
	/** It has a position: the client is told if it misses a publication. */
	positioned: 32,
} as const;

/** One client's subscription to one channel. There are many of these, so they must stay small. */
export class Subscription {
	readonly channel: string;
	/** The channel's audience for the client's encoding. It changes once for a subscription with deltas. */
	audience: Audience;
	readonly #traits: number;
	/** Null = no token. */
	grant: SubscriptionGrant | null;

	/** @param traits bits of `SubscriptionTrait`. */
	constructor(channel: string, audience: Audience, traits: number, grant: SubscriptionGrant | null) {
		this.channel = channel;
		this.audience = audience;
		this.#traits = traits;
		this.grant = grant;
	}

	get takesDeltas(): boolean {
		return this.audience.encoder instanceof DeltaEncoder;
	}

	/** The clients among which it waits for its first whole publication; null = it does not wait. */
	get waiting(): Map<Subscription, CentrifugeSession> | null {
		const { encoder } = this.audience;
		return encoder instanceof DeltaEncoder ? encoder.waiting : null;
	}

	/** Whether the client can get what it misses: from history, or with the next whole publication. */
	get recovers(): boolean {
		return (this.#traits & SubscriptionTrait.positioned) !== 0 || this.takesDeltas;
	}

	get isPresent(): boolean {
		return (this.#traits & SubscriptionTrait.present) !== 0;
	}

	get isServerSide(): boolean {
		return (this.#traits & SubscriptionTrait.serverSide) !== 0;
	}

	get isByConnectionToken(): boolean {
		return (this.#traits & SubscriptionTrait.byConnectionToken) !== 0;
	}

	get isAnnounced(): boolean {
		return (this.#traits & SubscriptionTrait.announced) !== 0;
	}

	get receivesJoins(): boolean {
		return (this.#traits & SubscriptionTrait.receivesJoins) !== 0;
	}
}

/** The traits that the options of the channel imply. */
export function traitsOf(
	{ presence, joinLeave }: ChannelOptions,
	receivesJoins: boolean,
	positions: { readonly positioned?: boolean | undefined; readonly recoverable?: boolean | undefined },
): number {
	const { present, announced, receivesJoins: receives, positioned } = SubscriptionTrait;
	const isPositioned = positions.positioned || positions.recoverable;
	return (presence ? present : 0) | (joinLeave ? announced : 0) | (receivesJoins ? receives : 0) | (isPositioned ? positioned : 0);
}

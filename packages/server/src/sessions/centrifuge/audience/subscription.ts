import type { TagFilter } from "@shardcast/channels";
import type { ChannelOptions } from "@shardcast/config";
import type { Audience } from "../../../hub/audience.ts";
import type { CentrifugeSession } from "../centrifuge-session.ts";
import type { TokenId } from "../tokens/token-id.ts";
import { DeltaEncoder } from "./delta-encoder.ts";

/** The claims of a token about a subscription. */
export interface SubscriptionGrant {
	/** JSON that other clients may see; null = none. */
	readonly info: Uint8Array | null;
	/** Seconds since 1970; Infinity = never. */
	readonly expiresAt: number;
	/** Of the subscription token; absent = the backend or the connection token grants it. */
	readonly token?: TokenId;
}

/** What a subscriber gets of a channel, besides everything as it is. */
export interface SubscriptionView {
	/** Null = all publications. */
	readonly filter: TagFilter | null;
	/** It takes deltas. */
	readonly delta: boolean;
}

export const wholeView: SubscriptionView = { filter: null, delta: false };

/** The bits of `Subscription.traits`. */
export const SubscriptionTrait = {
	/** Whether presence lists it. */
	present: 1,
	/** The server subscribed the client; the client did not ask. */
	serverSide: 2,
	/** The connection token has the server do so. */
	byConnectionToken: 4,
	/** Its beginning and its end are announced to others. */
	announced: 8,
	/** The client is told who comes and goes. */
	hearsJoins: 16,
	/** It has a position: the client goes without a publication only if it is told. */
	positioned: 32,
} as const;

/** The subscription of one client to one channel. There are many of these: keep them small. */
export class Subscription {
	readonly channel: string;
	/** The audience of the channel in the client's encoding; one that takes deltas moves once. */
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

	/** Where it waits for its first whole publication; null = it does not wait for one. */
	get waiting(): Map<Subscription, CentrifugeSession> | null {
		const { encoder } = this.audience;
		return encoder instanceof DeltaEncoder ? encoder.waiting : null;
	}

	/** Whether the client can get back what it misses: from history, or with the next whole publication. */
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

	get hearsJoins(): boolean {
		return (this.#traits & SubscriptionTrait.hearsJoins) !== 0;
	}
}

/** The traits that follow from the options of the channel. */
export function traitsOf(
	{ presence, joinLeave }: ChannelOptions,
	hearsJoins: boolean,
	positions: { readonly positioned?: boolean | undefined; readonly recoverable?: boolean | undefined },
): number {
	const { present, announced, hearsJoins: hears, positioned } = SubscriptionTrait;
	const isPositioned = positions.positioned || positions.recoverable;
	return (presence ? present : 0) | (joinLeave ? announced : 0) | (hearsJoins ? hears : 0) | (isPositioned ? positioned : 0);
}

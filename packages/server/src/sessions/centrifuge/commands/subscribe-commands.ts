import { type Channel, grantedPositions, type Namespaces, subscribeError } from "@shardcast/channels";
import { DisconnectCode, ErrorCode, type SubRefreshRequest, type SubscribeRequest, type UnsubscribeRequest } from "@shardcast/protocol";
import { type SubscriptionGrant, SubscriptionTrait } from "../audience/subscription.ts";
import type { CentrifugeSession } from "../centrifuge-session.ts";
import { inALaterTurn, waitMsMax } from "../timing/in-a-later-turn.ts";
import { type SubscriptionClaims, verifySubscriptionToken } from "../tokens/subscription-token.ts";
import type { TokenVerifier } from "../tokens/token-verifier.ts";
import { ends, fails, type Outcome, orInternal } from "./commands.ts";
import { expiry } from "./expiry.ts";
import type { SubscribeResults } from "./subscribe-results.ts";

export interface SubscribeCommandsParts {
	/** Looked up at each use: they change with the settings. */
	readonly namespaces: () => Pick<Namespaces, "of">;
	readonly rules: { readonly insecure: boolean; readonly channelLimit: number };
	readonly tokens: () => TokenVerifier;
	readonly results: SubscribeResults;
	/** Seconds since 1970. */
	readonly unixTime: () => number;
}

const badRequest = ends(DisconnectCode.badRequest);
const invalidToken = ends(DisconnectCode.invalidToken);
const gone = ends(DisconnectCode.connectionClosed);
const unsubscribed = { unsubscribe: {} } as const;

/**
 * The commands by which a client subscribes, stays subscribed and unsubscribes. They wait for the check of a token, for a log that is
 * locked, or for this shard to come as far as a client is that comes from another one.
 */
export class SubscribeCommands {
	readonly #parts: SubscribeCommandsParts;

	constructor(parts: SubscribeCommandsParts) {
		this.#parts = parts;
	}

	readonly subscribe = (session: CentrifugeSession, request: SubscribeRequest): Outcome | Promise<Outcome> => {
		const { rules, namespaces } = this.#parts;
		if (request.channel === "") return badRequest;
		const channel = namespaces().of(request.channel);
		if (session.subscriptions.has(channel.name)) return fails(ErrorCode.alreadySubscribed);
		if (session.subscriptions.size >= rules.channelLimit) return fails(ErrorCode.limitExceeded);
		const hasToken = request.token !== "";
		const refused = subscribeError(channel, { user: session.user, insecure: rules.insecure, hasToken });
		if (refused !== null) return fails(refused);
		return hasToken ? this.#subscribeByToken(session, channel, request) : this.#subscribe(session, channel, request, null);
	};

	/** Of a channel that it is not subscribed to as well. */
	readonly unsubscribe = (session: CentrifugeSession, { channel }: UnsubscribeRequest): Outcome => {
		if (channel === "") return badRequest;
		session.unsubscribe(channel);
		return unsubscribed;
	};

	/** Another token for a subscription that expires. */
	readonly subRefresh = async (session: CentrifugeSession, { channel, token }: SubRefreshRequest): Promise<Outcome> => {
		if (channel === "") return badRequest;
		const subscription = session.subscriptions.get(channel);
		if (subscription === undefined) return fails(ErrorCode.permissionDenied);
		// The server sees to those itself.
		if (subscription.isServerSide) return badRequest;
		if (token === "") return fails(ErrorCode.badRequest);
		const claims = await verifySubscriptionToken(this.#parts.tokens(), token);
		if (claims === "expired") return fails(ErrorCode.tokenExpired);
		if (claims === "invalid" || !isFor(claims, session, channel)) return invalidToken;
		const grant = this.#grant(claims);
		const left = expiry(grant.expiresAt, this.#parts.unixTime());
		if (left === null) return fails(ErrorCode.expired);
		// The server may have ended it meanwhile.
		if (session.subscriptions.get(channel) === subscription) session.setGrant(subscription, grant);
		return { subRefresh: left };
	};

	async #subscribeByToken(session: CentrifugeSession, channel: Channel, request: SubscribeRequest): Promise<Outcome> {
		const claims = await verifySubscriptionToken(this.#parts.tokens(), request.token);
		if (claims === "expired") return fails(ErrorCode.tokenExpired);
		if (claims === "invalid") return fails(ErrorCode.permissionDenied);
		if (!isFor(claims, session, channel.name)) return invalidToken;
		return this.#subscribe(session, { ...channel, options: { ...channel.options, ...claims.override } }, request, claims);
	}

	/** What was missed is read, and the client is subscribed, in one step: everything else comes in later turns. */
	#subscribe(
		session: CentrifugeSession,
		channel: Channel,
		request: SubscribeRequest,
		claims: SubscriptionClaims | null,
	): Outcome | Promise<Outcome> {
		const { rules, results, unixTime } = this.#parts;
		const { name, options } = channel;
		const grant = claims === null ? null : this.#grant(claims);
		const left = grant === null ? {} : expiry(grant.expiresAt, unixTime());
		if (left === null) return fails(ErrorCode.expired);
		const positions = grantedPositions(
			channel,
			{ user: session.user, insecure: rules.insecure },
			{ positioned: request.positioned, recoverable: request.recoverable || request.recover },
		);
		const step = (): Outcome => {
			// It has gone while it waited.
			if (session.isGone) return gone;
			// The server has subscribed it meanwhile.
			if (session.subscriptions.has(name)) return fails(ErrorCode.alreadySubscribed);
			const result = results.of(session.framing, name, positions, request);
			if (result === null) return null;
			if (typeof result === "number") return fails(result);
			session.subscribe(name, options.presence ? SubscriptionTrait.present : 0, grant);
			return { subscribe: { ...result, ...left, ...(claims?.data && { data: claims.data }) } };
		};
		return orInternal(inALaterTurn(step, waitMsMax));
	}

	#grant({ info, expiresAt }: SubscriptionClaims): SubscriptionGrant {
		return { info, expiresAt: this.#parts.rules.insecure ? Number.POSITIVE_INFINITY : expiresAt };
	}
}

/** Whether the token is for this client and channel. */
function isFor({ user, client, channel }: SubscriptionClaims, session: CentrifugeSession, asked: string): boolean {
	return channel === asked && user === session.user && (client === "" || client === session.id);
}

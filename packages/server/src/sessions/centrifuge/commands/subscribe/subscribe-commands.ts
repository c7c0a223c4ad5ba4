import { type Channel, grantedPositions, type Namespaces, receivesJoins, subscribeError } from "@shardcast/channels";
import {
	DisconnectCode,
	ErrorCode,
	type SubRefreshRequest,
	type SubscribeRequest,
	type SubscribeResult,
	type UnsubscribeRequest,
} from "@shardcast/protocol";
import type { Hook } from "../../../../hooks/hook.ts";
import type { Hooks } from "../../../../hooks/hooks.ts";
import { type SubscriptionGrant, traitsOf, wholeView } from "../../audience/subscription.ts";
import type { CentrifugeSession } from "../../centrifuge-session.ts";
import type { Consumers } from "../../durable/consumers.ts";
import { payloadFor } from "../../framing.ts";
import { type HookCalls, withoutResult } from "../../hooks/hook-calls.ts";
import type { HookSubRefreshes } from "../../hooks/hook-sub-refreshes.ts";
import { inALaterTurn, waitMsMax } from "../../timing/in-a-later-turn.ts";
import { type SubscriptionClaims, verifySubscriptionToken } from "../../tokens/subscription-token.ts";
import type { TokenId } from "../../tokens/token-id.ts";
import type { TokenVerifier } from "../../tokens/token-verifier.ts";
import { ends, fails, type Outcome, orInternal } from "../commands.ts";
import { overridden } from "../connect/server-subscriptions.ts";
import { expiry } from "../expiry.ts";
import type { KafkaRecovery } from "../recovery/kafka-recovery.ts";
import type { SubscribeResults } from "./subscribe-results.ts";
import { viewOf } from "./subscription-view.ts";

interface SubscribeCommandsParts {
	/** Read at each use, since a reload changes it. */
	readonly namespaces: () => Pick<Namespaces, "of">;
	readonly rules: { readonly insecure: boolean; readonly channelLimit: number };
	readonly tokens: () => TokenVerifier;
	/** Whether a user's token has been revoked in the meantime. */
	readonly isRevoked: (user: string, token: TokenId | null) => boolean;
	readonly hooks: Pick<Hooks, "subscribe" | "subRefresh">;
	readonly calls: Pick<HookCalls, "ask">;
	readonly subRefreshes: Pick<HookSubRefreshes, "command">;
	readonly results: SubscribeResults;
	/** Recovers what memory does not hold. */
	readonly fromKafka: Pick<KafkaRecovery, "attempt">;
	/** Subscriptions with acknowledgements. */
	readonly consumers: () => Consumers;
	/** Resolves when the channel's position is available; see `HistoryReader`. */
	readonly waits: (channel: string) => Promise<void> | null;
	/** Whether new subscriptions are refused, since this node does not know who has been blocked. */
	readonly isCutOff: () => boolean;
	/** Seconds since 1970. */
	readonly unixTime: () => number;
}

/** What a token or a backend grants. */
type Granted = Pick<SubscriptionClaims, "info" | "data" | "expiresAt"> & { readonly token?: TokenId };

const badRequest = ends(DisconnectCode.badRequest);
const invalidToken = ends(DisconnectCode.invalidToken);
const gone = ends(DisconnectCode.connectionClosed);
const unsubscribed = { unsubscribe: {} } as const;

/**
 * The commands `subscribe`, `sub_refresh` and `unsubscribe`. They may have to wait: for the verification of a token, the answer of a backend, a
 * locked log, or until this shard has caught up with the position of a client from another shard.
 */
export class SubscribeCommands {
	readonly #parts: SubscribeCommandsParts;

	constructor(parts: SubscribeCommandsParts) {
		this.#parts = parts;
	}

	readonly subscribe = (session: CentrifugeSession, request: SubscribeRequest): Outcome | Promise<Outcome> => {
		const { rules, namespaces } = this.#parts;
		if (request.channel === "") return badRequest;
		if (this.#parts.isCutOff()) return fails(ErrorCode.internal);
		const channel = namespaces().of(request.channel);
		if (session.subscriptions.has(channel.name) || this.#parts.consumers().catchesUp(session, channel.name))
			return fails(ErrorCode.alreadySubscribed);
		if (session.subscriptions.size >= rules.channelLimit) return fails(ErrorCode.limitExceeded);
		const hasToken = request.token !== "";
		const refused = subscribeError(channel, { user: session.user, insecure: rules.insecure, hasToken, backend: "asked" });
		if (refused !== null) return fails(refused);
		const hook = hasToken || channel.users !== null ? null : this.#parts.hooks.subscribe(channel.options);
		if (hook !== null) return this.#subscribeByHook(session, hook, channel, request);
		return hasToken ? this.#subscribeByToken(session, channel, request) : this.#subscribe(session, channel, request, null);
	};

	/** Also accepts a channel that the client is not subscribed to. */
	readonly unsubscribe = (session: CentrifugeSession, { channel }: UnsubscribeRequest): Outcome => {
		if (channel === "") return badRequest;
		session.unsubscribe(channel);
		this.#parts.consumers().unsubscribe(session, channel);
		return unsubscribed;
	};

	/** Takes a new token for a subscription that expires. */
	readonly subRefresh = async (session: CentrifugeSession, { channel, token }: SubRefreshRequest): Promise<Outcome> => {
		if (channel === "") return badRequest;
		const subscription = session.subscriptions.get(channel);
		if (subscription === undefined) return fails(ErrorCode.permissionDenied);
		// The server refreshes server-side subscriptions itself.
		if (subscription.isServerSide) return badRequest;
		if (token === "") return (await this.#parts.subRefreshes.command(session, subscription)) ?? fails(ErrorCode.badRequest);
		const claims = await verifySubscriptionToken(this.#parts.tokens(), token);
		if (claims === "expired") return fails(ErrorCode.tokenExpired);
		if (claims === "unavailable") return fails(ErrorCode.internal);
		if (claims === "invalid" || !isFor(claims, session, channel)) return invalidToken;
		const grant = this.#grant(claims);
		const left = expiry(grant.expiresAt, this.#parts.unixTime());
		if (left === null) return fails(ErrorCode.expired);
		// The server may have ended the subscription in the meantime.
		if (this.#isRevoked(session, grant)) return invalidToken;
		if (session.subscriptions.get(channel) === subscription) session.setGrant(subscription, grant);
		return { subRefresh: left };
	};

	async #subscribeByToken(session: CentrifugeSession, channel: Channel, request: SubscribeRequest): Promise<Outcome> {
		const claims = await verifySubscriptionToken(this.#parts.tokens(), request.token);
		if (claims === "expired") return fails(ErrorCode.tokenExpired);
		if (claims === "unavailable") return fails(ErrorCode.internal);
		if (claims === "invalid") return fails(ErrorCode.permissionDenied);
		if (!isFor(claims, session, channel.name)) return invalidToken;
		return this.#subscribe(session, overridden(channel, claims.override), request, claims);
	}

	async #subscribeByHook(
		session: CentrifugeSession,
		hook: Hook<"subscribe">,
		channel: Channel,
		request: SubscribeRequest,
	): Promise<Outcome> {
		const { calls, rules } = this.#parts;
		const answer = await calls.ask(hook, session, { channel: channel.name, data: request.data });
		if (answer === "passed") {
			const refused = subscribeError(channel, { user: session.user, insecure: rules.insecure, hasToken: false, backend: "failed" });
			return refused === null ? this.#subscribe(session, channel, request, null) : fails(refused);
		}
		if (typeof answer === "string" || !("result" in answer)) return withoutResult(answer);
		return this.#subscribe(session, overridden(channel, answer.result.override), request, answer.result);
	}

	/** Reads what the client missed and subscribes it in one step. Later publications arrive in later turns of the loop. */
	#subscribe(session: CentrifugeSession, channel: Channel, request: SubscribeRequest, claims: Granted | null): Outcome | Promise<Outcome> {
		const { rules, results, fromKafka, waits, unixTime } = this.#parts;
		const { name, options } = channel;
		const view = viewOf(channel, request);
		if (typeof view === "number") return fails(view);
		const grant = claims === null ? null : this.#grant(claims);
		const expires = grant === null ? {} : expiry(grant.expiresAt, unixTime());
		if (expires === null) return fails(ErrorCode.expired);
		// Where a backend is asked, the client does not send another token.
		const left = this.#parts.hooks.subRefresh(options) === null ? expires : {};
		const data = claims?.data ? payloadFor(session.framing, claims.data) : null;
		const consumer = this.#parts.consumers().nameIn(channel, request.data);
		if (consumer === "invalid") return fails(ErrorCode.badRequest);
		if (consumer !== null) return this.#subscribeConsumer(session, channel, request, consumer, grant, { ...left, data });
		const requester = { user: session.user, insecure: rules.insecure };
		const positions = grantedPositions(channel, requester, {
			positioned: request.positioned,
			recoverable: request.recoverable || request.recover,
		});
		const receives = receivesJoins(channel, requester, request.joinLeave);
		// Records from Kafka are encoded once for all clients, so they can be neither filtered nor turned into strings.
		const attempt = positions.recoverable && request.recover && view === wholeView ? fromKafka.attempt(session, name) : null;
		const step = (): Outcome => {
			// The client disconnected while it waited.
			if (session.isGone) return gone;
			if (this.#isRevoked(session, grant)) return fails(ErrorCode.permissionDenied);
			// The server has subscribed it in the meantime.
			if (session.subscriptions.has(name)) return fails(ErrorCode.alreadySubscribed);
			const result = results.of(session.framing, name, positions, request, attempt, view);
			if (result === null) return null;
			if (typeof result === "number") return fails(result);
			results.given(result);
			// A client that missed nothing may ask from a position that it was given without having the publication there.
			const offset = result.publications?.at(-1)?.offset;
			session.subscribe(name, channel.isPattern ? 0 : traitsOf(options, receives, positions), grant, view, offset);
			return { subscribe: { ...result, ...(view.delta && { delta: true }), ...left, ...(data && { data }) } };
		};
		const outcome = inALaterTurn(step, waitMsMax, () => attempt?.waits ?? (positions.positioned ? waits(name) : null));
		if (outcome instanceof Promise) return orInternal(outcome.finally(() => attempt?.done()));
		return orInternal(outcome);
	}

	/** Subscribes a client that acknowledges. It gets every publication, unfiltered. */
	async #subscribeConsumer(
		session: CentrifugeSession,
		channel: Channel,
		request: SubscribeRequest,
		consumer: string,
		grant: SubscriptionGrant | null,
		{ data, ...left }: Pick<SubscribeResult, "expires" | "ttl"> & { readonly data: Uint8Array | null | undefined },
	): Promise<Outcome> {
		if (session.user === "" && !this.#parts.rules.insecure) return fails(ErrorCode.permissionDenied);
		const traits = traitsOf(channel.options, false, { positioned: true });
		const subscribe = () => session.subscribe(channel.name, traits, grant);
		const result = await this.#parts.consumers().subscribe(session, channel, consumer, request.recover, subscribe);
		if (result === null) return fails(ErrorCode.internal);
		if (typeof result === "number") return fails(result);
		if (this.#isRevoked(session, grant)) {
			this.unsubscribe(session, { channel: channel.name });
			return fails(ErrorCode.permissionDenied);
		}
		return { subscribe: { ...result, ...left, ...(data && { data }) } };
	}

	/** A token that was revoked while its subscription waited: the revocation finds only existing subscriptions. */
	#isRevoked({ user }: CentrifugeSession, grant: SubscriptionGrant | null): boolean {
		return this.#parts.isRevoked(user, grant?.token ?? null);
	}

	#grant({ info, expiresAt, token }: Granted): SubscriptionGrant {
		return { info, ...(token && { token }), expiresAt: this.#parts.rules.insecure ? Number.POSITIVE_INFINITY : expiresAt };
	}
}

/** Whether the token is for this client and channel. */
function isFor({ user, client, channel }: SubscriptionClaims, session: CentrifugeSession, asked: string): boolean {
	return channel === asked && user === session.user && (client === "" || client === session.id);
}

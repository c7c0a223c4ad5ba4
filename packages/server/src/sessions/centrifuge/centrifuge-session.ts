import type { MessageDetails } from "@shardcast/bus";
import type { Namespaces } from "@shardcast/channels";
import type { ConnectionBuckets } from "@shardcast/limits";
import { type Command, DisconnectCode, disconnects, type Push, type Unsubscribe, UnsubscribeCode, unsubscribes } from "@shardcast/protocol";
import { CloseCode, encodePublisherInfo, RecordType } from "@shardcast/wire";
import type { AnnouncementType } from "../../delivery/publishing/publisher.ts";
import { type ClientHeaders, noHeaders } from "../../hooks/forwarded-headers.ts";
import type { Audience } from "../../hub/audience.ts";
import type { Admitted } from "../../limits/connection-check.ts";
import type { Transport } from "../../transports/transport.ts";
import type { ClientDescription } from "../../webhooks/client-events.ts";
import { ClientSession, MoveCost } from "../client-session.ts";
import type { Timed } from "../deadlines.ts";
import type { DirectMessage } from "../direct-messages.ts";
import { type ChannelRule, droppingRule, joinRule, recoveringRule } from "../lanes/lane-rules.ts";
import type { Sessions } from "../sessions.ts";
import type { ChannelVariant } from "./audience/channel-encoder.ts";
import type { JoinEncoder } from "./audience/join-audiences.ts";
import { PatternEncoder } from "./audience/pattern-encoder.ts";
import { Subscription, type SubscriptionGrant, type SubscriptionView, wholeView } from "./audience/subscription.ts";
import type { CentrifugeEndpoint } from "./centrifuge-endpoint.ts";
import { type Framing, transportOf } from "./framing.ts";
import { PongState } from "./timing/pong-state.ts";
import type { TokenId } from "./tokens/token-id.ts";

/** `new`: no connect yet, or its token is being verified. `failed`: connect was answered with an error; no other command is accepted. */
type ConnectState = "new" | "connected" | "failed";

const noSubscriptions: ReadonlyMap<string, Subscription> = new Map();

/** Who a client is, according to its token. */
type Identity = Pick<CentrifugeSession, "user" | "info" | "meta" | "expiresAt" | "token">;

/** Commands that wait behind another one, in order, and the protocol error behind them, if any. */
export interface Backlog {
	readonly frames: {
		readonly commands: readonly Command[];
		/** Index of the next command to run. */
		readonly at: number;
		/** Whether a protocol error follows these commands. */
		readonly isBroken: boolean;
		readonly bytes: number;
	}[];
	bytes: number;
}

/**
 * The state of one client of the Centrifuge protocol. `Commands` runs its commands; `Heartbeats` handles its deadlines.
 *
 * There is one instance per connection: with 12,000 idle clients, each word here costs 100 KB.
 */
export class CentrifugeSession extends ClientSession implements Timed {
	readonly framing: Framing;
	/** The client answers WebSocket pings, so the server sends it no pings of the protocol. */
	readonly framePings: boolean;
	/** The id that other requests use for this session; "" = its frames arrive on its own connection. Set before the session is opened. */
	sessionId = "";
	state: ConnectState = "new";
	/** A random id, chosen when the client connects or when a backend is first asked about it. Other clients may see it. */
	id = "";
	/** The headers of the client that may be forwarded to backends. */
	headers: ClientHeaders = noHeaders;
	/** When it connected, by the clock that all processes of this machine share. */
	connectedAt = 0;
	/** "" = anonymous. */
	user = "";
	/** The `info` claim of its token, as JSON; null = none. */
	info: Uint8Array | null = null;
	/** The `meta` claim of its token, as JSON, for the application; null = none. Never sent to clients. */
	meta: Uint8Array | null = null;
	/** Null = it connected without a token. */
	override token: TokenId | null = null;
	/** Seconds since 1970; Infinity = never. */
	expiresAt = Number.POSITIVE_INFINITY;
	/** When the next subscription may expire, in seconds since 1970. May be too early: a subscription that has ended still counts. */
	subscriptionsDueAt = Number.POSITIVE_INFINITY;
	/** Its rate limit buckets; null = not limited. See `CommandRates`. */
	buckets: ConnectionBuckets | null = null;
	/** Commands behind the one that waits; null = no command waits. */
	backlog: Backlog | null = null;
	/** Whether a pong is due. */
	pong: PongState = PongState.none;
	/** When to send the next ping, or when the pong is due; in seconds of the timer wheel's clock. */
	pingAt = Number.POSITIVE_INFINITY;
	/** Written only by `ReplyRoom`: a command waits for memory. */
	waitsForMemory = false;
	dueAt = 0;
	duePlace = -1;
	/** Created with the first subscription. */
	#subscriptions: Map<string, Subscription> | null = null;
	#details: MessageDetails | null = null;
	#sender = 0;
	/** The close reason that replaces the default one of the code; null = the default. */
	#reason: string | null = null;
	protected readonly endpoint: CentrifugeEndpoint;

	constructor(endpoint: CentrifugeEndpoint, admitted: Admitted, framing: Framing, framePings: boolean) {
		super(admitted);
		this.endpoint = endpoint;
		this.framing = framing;
		this.framePings = framePings;
	}

	get subscriptions(): ReadonlyMap<string, Subscription> {
		return this.#subscriptions ?? noSubscriptions;
	}

	override get channels(): readonly string[] {
		return [...this.subscriptions.keys()];
	}

	override describe(): ClientDescription | null {
		return this.state === "connected" ? { client: this.id, user: this.user, ...transportOf(this.framing) } : null;
	}

	override get sessions(): Sessions {
		return this.endpoint.sessions;
	}

	/** Its sender number, for messages that it must not get back. Assigned with the first such message; 0 once the client has disconnected. */
	get sender(): number {
		if (this.#sender === 0 && !this.isGone) this.#sender = this.endpoint.senders.assign(this);
		return this.#sender;
	}

	override get moveCost(): number | null {
		const isBusy = this.state !== "connected" || this.backlog !== null || this.endpoint.calls.waits(this);
		if (isBusy) return null;
		let cost = 0;
		for (const { recovers } of this.subscriptions.values()) cost += recovers ? MoveCost.recovering : MoveCost.lossy;
		return cost;
	}

	override isIn(audience: Audience): boolean {
		for (const subscription of this.subscriptions.values()) if (subscription.audience === audience) return true;
		return false;
	}

	channelInfo(channel: string): Uint8Array | null {
		return this.subscriptions.get(channel)?.grant?.info ?? null;
	}

	/** Describes the client to the receivers of its publications. Created once, unless a subscription token adds information. */
	publishDetails(channel: string): MessageDetails {
		const { id: client, user, info } = this;
		const chanInfo = this.channelInfo(channel);
		if (chanInfo) return { info: encodePublisherInfo({ client, user, ...(info && { connInfo: info }), chanInfo }), holder: this };
		this.#details ??= { info: encodePublisherInfo({ client, user, ...(info && { connInfo: info }) }), holder: this };
		return this.#details;
	}

	/** Called when the client has connected or sent a new token. */
	identify({ user, info, meta, expiresAt, token }: Identity): void {
		this.user = user;
		this.info = info;
		this.meta = meta;
		this.expiresAt = expiresAt;
		this.token = token;
		this.#details = null;
	}

	override frame(message: ArrayBuffer): void {
		this.endpoint.set.commands.take(this, message);
	}

	override join(): void {
		this.endpoint.heartbeats.opened(this);
		if (this.sessionId !== "" && !this.framing.isUni) this.endpoint.emulation.opened(this);
	}

	override moveTo(transport: Transport): void {
		const { hub, subscribers } = this.endpoint;
		for (const { audience, receivesJoins, channel } of this.subscriptions.values()) {
			hub.move(this.transport, audience, transport);
			if (receivesJoins) hub.move(this.transport, subscribers.joins.of(channel, this.framing), transport);
		}
	}

	override get mayDrop(): boolean {
		for (const channel of this.subscriptions.keys()) if (this.#mayDrop(channel)) return true;
		return false;
	}

	override laneRule(audience: Audience): ChannelRule {
		// Every encoder of a Centrifuge session has a channel.
		const { channel: name } = audience.encoder as ChannelVariant | PatternEncoder | JoinEncoder;
		const channel = this.endpoint.subscribers.channel(name);
		const subscription = this.subscriptions.get(name);
		return subscription?.audience === audience ? (subscription.recovers ? recoveringRule : droppingRule)(channel) : joinRule(channel);
	}

	override laneChannel({ encoder }: Audience): string {
		return encoder instanceof PatternEncoder ? encoder.name : "";
	}

	override endAfterGap({ channel }: ChannelRule): void {
		this.endWithoutState(channel);
	}

	/** The client has missed publications: ends the subscription so that it recovers. */
	endWithoutState(channel: string): void {
		const subscription = this.subscriptions.get(channel);
		if (subscription === undefined) return;
		// Server-side subscriptions are recovered by reconnecting.
		if (subscription.isServerSide) this.close(DisconnectCode.insufficientState);
		else this.endSubscription(channel, unsubscribes[UnsubscribeCode.insufficientState]);
	}

	override leave(): void {
		for (const subscription of this.subscriptions.values()) this.#leave(subscription);
		this.#release();
	}

	override gone(): void {
		const { hub, subscribers } = this.endpoint;
		const { joins } = subscribers;
		for (const { audience, receivesJoins, channel } of this.subscriptions.values()) {
			hub.forget(this.transport, audience);
			if (receivesJoins) hub.forget(this.transport, joins.of(channel, this.framing));
		}
		this.#release();
		this.endpoint.rate.forget(this);
	}

	override writable(): void {
		if (this.pong === PongState.awaited) this.pong = PongState.reading;
		super.writable();
	}

	/** A deadline has passed, or a ping is due. */
	due(now: number): void {
		this.endpoint.heartbeats.due(this, now);
	}

	/**
	 * Subscribes the client.
	 * @param traits bits of `SubscriptionTrait`. @param grant what its token or a backend grants; null = nothing.
	 * @param offset of the last publication that the client has; 0 = unknown.
	 */
	subscribe(channel: string, traits: number, grant: SubscriptionGrant | null, view: SubscriptionView = wholeView, offset = 0): void {
		const audience = this.#audience(channel, view, offset);
		const subscription = new Subscription(channel, audience, traits, grant);
		const { waiting } = subscription;
		waiting?.set(subscription, this);
		this.#subscriptions ??= new Map();
		this.#subscriptions.set(channel, subscription);
		const { hub, subscribers } = this.endpoint;
		subscribers.subscriptionsMade++;
		const { joins, presence, audiences } = subscribers;
		if (this.framing.codec.binary) audiences.protobufSubscriptions++;
		hub.subscribe(this.transport, subscription.audience);
		if (subscription.receivesJoins) hub.subscribe(this.transport, joins.of(channel, this.framing));
		if (subscription.isPresent) presence.join(channel, this);
		if (subscription.isAnnounced) this.#announce(RecordType.join, channel);
		if (this.#mayDrop(channel)) this.sessions.lanes.watch(this);
		this.#expects(subscription);
		this.endpoint.subscribed(this, channel);
	}

	#mayDrop(channel: string): boolean {
		return this.endpoint.subscribers.channel(channel).slowClient.policy !== "disconnect";
	}

	#audience(channel: string, { filter, delta }: SubscriptionView, offset: number): Audience {
		const { audiences, patterns, isPattern } = this.endpoint.subscribers;
		if (isPattern(channel)) return patterns.of(channel, this.framing);
		return delta
			? audiences.ofDelta(channel, this.framing, audiences.hasLastOf(channel, offset))
			: audiences.of(channel, this.framing, filter);
	}

	/** The client has sent a new token for the subscription. */
	setGrant(subscription: Subscription, grant: SubscriptionGrant): void {
		subscription.grant = grant;
		this.#expects(subscription);
	}

	/** Ends the subscription and tells the client. */
	endSubscription(channel: string, unsubscribe: Unsubscribe): void {
		// First, since it also writes the publications that uWebSockets.js has collected for the client, and would discard without topics.
		this.push({ channel, unsubscribe });
		this.unsubscribe(channel, unsubscribe.code);
	}

	/**
	 * Options of channels have changed. Ends subscriptions that are no longer possible: their namespace was removed, or has other rules for
	 * names or patterns.
	 */
	applyNamespaces(namespaces: Namespaces): void {
		for (const channel of [...this.subscriptions.keys()]) {
			const { error, isPattern, options, slowClient } = namespaces.of(channel);
			if (error !== null || (isPattern && !options.allowWildcard)) this.endSubscription(channel, unsubscribes[UnsubscribeCode.server]);
			else if (slowClient.policy !== "disconnect") this.sessions.lanes.watch(this);
		}
	}

	/**
	 * Ends the subscriptions that have expired, or asks a backend about them. Closes the connection if one of them is server-side.
	 * @param now in seconds since 1970.
	 */
	expireSubscriptions(now: number): void {
		const { subRefreshes } = this.endpoint;
		this.subscriptionsDueAt = Number.POSITIVE_INFINITY;
		for (const subscription of [...this.subscriptions.values()]) {
			const { channel, isServerSide } = subscription;
			const dueAt = subRefreshes.dueAt(subscription);
			if (dueAt > now) this.subscriptionsDueAt = Math.min(this.subscriptionsDueAt, dueAt);
			else if (subRefreshes.begin(this, subscription)) continue;
			else if (!isServerSide) this.endSubscription(channel, unsubscribes[UnsubscribeCode.expired]);
			else {
				this.close(DisconnectCode.subscriptionExpired);
				return;
			}
		}
	}

	/** Ends the subscriptions whose tokens have been revoked. @returns how many. */
	override endRevoked(isRevoked: (token: TokenId) => boolean): number {
		let ended = 0;
		for (const { channel, grant } of [...this.subscriptions.values()]) {
			if (grant?.token === undefined || !isRevoked(grant.token)) continue;
			this.endSubscription(channel, unsubscribes[UnsubscribeCode.server]);
			ended++;
		}
		return ended;
	}

	/** Sends replies. Returns whether the bytes may be reused. */
	reply(frame: Uint8Array): boolean {
		return this.sessions.lanes.send(this, frame, this.framing.codec.binary);
	}

	/** Sends a push: a message that is not a reply. */
	push(push: Push): void {
		const { framing } = this;
		if (!this.isGone) this.sessions.lanes.send(this, framing.frame([framing.encode({ push })]), framing.codec.binary);
	}

	override receive(message: DirectMessage): boolean {
		if (this.state !== "connected") return false;
		const { framing } = this;
		this.sessions.lanes.send(
			this,
			message.frameFor(framing, (data) => framing.frame([framing.encode({ push: { message: { data } } })])),
			framing.codec.binary,
		);
		return true;
	}

	/** The subscriber has received a whole publication and gets deltas from now on. */
	followDeltas(subscription: Subscription): void {
		const { hub, subscribers } = this.endpoint;
		const { audiences } = subscribers;
		const { audience, channel } = subscription;
		const followers = audiences.ofDelta(channel, this.framing, true);
		hub.move(this.transport, audience, this.transport, followers);
		subscription.audience = followers;
	}

	/** Does nothing if the client is not subscribed. @param code the reason that the client is told; 0 = the client unsubscribed itself. */
	unsubscribe(channel: string, code = 0): void {
		const subscription = this.subscriptions.get(channel);
		if (subscription === undefined) return;
		this.#leave(subscription);
		if (this.framing.codec.binary) this.endpoint.subscribers.audiences.protobufSubscriptions--;
		this.endpoint.subscribers.presence.leave(channel, this);
		if (subscription.isAnnounced) this.#announce(RecordType.leave, channel);
		this.#subscriptions!.delete(channel);
		subscription.waiting?.delete(subscription);
		this.endpoint.events.unsubscribed(this, channel, code);
	}

	override disconnect(code: number, reason: string): void {
		if (this.isGone) return;
		this.#reason = reason;
		this.close(code);
	}

	override closeFrame(code: number): { readonly code: number; readonly reason: string } {
		if (this.#reason !== null) return { code, reason: this.#reason };
		if (code === CloseCode.goingAway) return disconnects[DisconnectCode.shutdown];
		if (code === CloseCode.connectAgain) return disconnects[DisconnectCode.forceReconnect];
		return disconnects[code as DisconnectCode] ?? super.closeFrame(code);
	}

	#leave({ audience, receivesJoins, channel }: Subscription): void {
		const { hub, subscribers } = this.endpoint;
		const { joins } = subscribers;
		hub.unsubscribe(this.transport, audience);
		if (receivesJoins) hub.unsubscribe(this.transport, joins.of(channel, this.framing));
	}

	#announce(type: AnnouncementType, channel: string): void {
		this.endpoint.announce(type, channel, this.publishDetails(channel).info!);
	}

	#expects(subscription: Subscription): void {
		const dueAt = this.endpoint.subRefreshes.dueAt(subscription);
		if (dueAt === Number.POSITIVE_INFINITY) return;
		this.subscriptionsDueAt = Math.min(this.subscriptionsDueAt, dueAt);
		this.endpoint.heartbeats.refreshed(this);
	}

	#release(): void {
		for (const subscription of this.subscriptions.values()) {
			const { isPresent, isAnnounced, channel } = subscription;
			subscription.waiting?.delete(subscription);
			if (isPresent) this.endpoint.subscribers.presence.leave(channel, this);
			if (isAnnounced) this.#announce(RecordType.leave, channel);
		}
		if (this.framing.codec.binary) this.endpoint.subscribers.audiences.protobufSubscriptions -= this.subscriptions.size;
		this.#subscriptions = null;
		if (this.#sender !== 0) this.endpoint.senders.release(this.#sender);
		this.#sender = 0;
		this.backlog = null;
		this.endpoint.calls.left(this);
		this.endpoint.connected.remove(this);
		this.endpoint.userLimit.left(this);
		this.endpoint.heartbeats.closed(this);
		if (this.sessionId !== "") this.endpoint.emulation.closed(this);
	}
}

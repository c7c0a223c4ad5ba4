import { type Command, DisconnectCode, disconnects, type Push, type Unsubscribe, UnsubscribeCode, unsubscribes } from "@shardcast/protocol";
import { CloseCode } from "@shardcast/wire";
import { encodePublisherInfo } from "../../delivery/publishing/publisher-info.ts";
import type { Admitted } from "../../limits/connection-check.ts";
import { ClientSession } from "../client-session.ts";
import type { Sessions } from "../sessions.ts";
import { Subscription, type SubscriptionGrant } from "./audience/subscription.ts";
import type { CentrifugeEndpoint } from "./centrifuge-endpoint.ts";
import type { Framing } from "./framing.ts";
import type { Timed } from "./timing/deadlines.ts";

/** `new`: connect has not come, or its token is being looked at. `failed`: connect was answered with an error, and nothing may follow. */
export type ConnectState = "new" | "connected" | "failed";

const noSubscriptions: ReadonlyMap<string, Subscription> = new Map();

/** Who a client is, by its token. */
export type Identity = Pick<CentrifugeSession, "user" | "info" | "meta" | "expiresAt">;

/** Commands that wait behind one that has to wait, in order, and what is wrong behind them. */
export interface Backlog {
	readonly frames: {
		readonly commands: readonly Command[];
		/** The first that is to be carried out. */
		readonly at: number;
		/** Behind the commands it breaks the protocol. */
		readonly isBroken: boolean;
		readonly bytes: number;
	}[];
	bytes: number;
}

/**
 * A client of the Centrifuge protocol. What it is and has is here; what its commands do is in `Commands`, and what happens to it in time in
 * `Heartbeats`.
 *
 * One object for each connection: with 12,000 idle clients every word here is 100 KB.
 */
export class CentrifugeSession extends ClientSession implements Timed {
	readonly framing: Framing;
	/** The server answers pings of the WebSocket's own kind, and sends none of the protocol's. */
	readonly framePings: boolean;
	state: ConnectState = "new";
	/** Made up when it connects; other clients may see it. */
	id = "";
	/** "" = nobody in particular. */
	user = "";
	/** What its token says about it, as JSON; null = nothing. */
	info: Uint8Array | null = null;
	/** What its token says about it for the program that runs the server, as JSON; null = nothing. No client gets to see it. */
	meta: Uint8Array | null = null;
	/** Seconds since 1970; Infinity = never. */
	expiresAt = Number.POSITIVE_INFINITY;
	/** When the first of its subscriptions may expire, likewise; one that has ended may still count. */
	subscriptionsExpireAt = Number.POSITIVE_INFINITY;
	/** The present command has to wait; null = it is ready for the next. */
	backlog: Backlog | null = null;
	/** A ping was sent that it has not answered. */
	awaitsPong = false;
	/** When the next ping is to be sent, or the answer to the last must be there: of the wheel's clock. */
	pingAt = Number.POSITIVE_INFINITY;
	dueAt = 0;
	duePlace = -1;
	/** Made with the first; null = there was none. */
	#subscriptions: Map<string, Subscription> | null = null;
	#publisherInfo: Uint8Array | null = null;
	readonly #endpoint: CentrifugeEndpoint;

	constructor(endpoint: CentrifugeEndpoint, admitted: Admitted, framing: Framing, framePings: boolean) {
		super(admitted);
		this.#endpoint = endpoint;
		this.framing = framing;
		this.framePings = framePings;
	}

	get subscriptions(): ReadonlyMap<string, Subscription> {
		return this.#subscriptions ?? noSubscriptions;
	}

	override get channels(): readonly string[] {
		return [...this.subscriptions.keys()];
	}

	protected override get sessions(): Sessions {
		return this.#endpoint.sessions;
	}

	/** Under which its messages go out: a client of the protocol gets its own publications. */
	get sender(): number {
		return 0;
	}

	/** It is being closed, or its connection has ended. */
	get isGone(): boolean {
		return this.leaving !== 0 || this.place < 0;
	}

	/** Who it is, for those who get what it publishes. Made once, except where a subscription token says more about it. */
	publisherInfo(channel: string): Uint8Array {
		const { id: client, user, info } = this;
		const chanInfo = this.subscriptions.get(channel)?.grant?.info;
		if (chanInfo) return encodePublisherInfo({ client, user, ...(info && { connInfo: info }), chanInfo });
		this.#publisherInfo ??= encodePublisherInfo({ client, user, ...(info && { connInfo: info }) });
		return this.#publisherInfo;
	}

	/** It has connected, or brought another token. */
	identify({ user, info, meta, expiresAt }: Identity): void {
		this.user = user;
		this.info = info;
		this.meta = meta;
		this.expiresAt = expiresAt;
		this.#publisherInfo = null;
	}

	override frame(message: ArrayBuffer): void {
		this.#endpoint.commands.take(this, message);
	}

	override join(): void {
		this.#endpoint.heartbeats.opened(this);
	}

	override leave(): void {
		for (const subscription of this.subscriptions.values()) this.#endpoint.hub.unsubscribe(this.transport, subscription.audience);
		this.#release();
	}

	override gone(): void {
		for (const subscription of this.subscriptions.values()) this.#endpoint.hub.forget(this.transport, subscription.audience);
		this.#release();
		this.#endpoint.rate.forget(this);
	}

	/** A time is over that it had for something, or a ping is due. */
	due(now: number): void {
		this.#endpoint.heartbeats.due(this, now);
	}

	/** Hears the channel from now on. @param traits bits of `SubscriptionTrait`. @param grant what a token says about it; null = nothing. */
	subscribe(channel: string, traits: number, grant: SubscriptionGrant | null): void {
		const subscription = new Subscription(channel, this.#endpoint.audiences.of(channel, this.framing), traits, grant);
		this.#subscriptions ??= new Map();
		this.#subscriptions.set(channel, subscription);
		this.#endpoint.hub.subscribe(this.transport, subscription.audience);
		if (subscription.isPresent) this.#endpoint.presence.join(channel, this);
		this.#expects(subscription);
	}

	/** Its client has brought another token for it. */
	setGrant(subscription: Subscription, grant: SubscriptionGrant): void {
		subscription.grant = grant;
		this.#expects(subscription);
	}

	/** Ends it, and says so to the client. */
	endSubscription(channel: string, unsubscribe: Unsubscribe): void {
		this.unsubscribe(channel);
		this.push({ channel, unsubscribe });
	}

	/** Ends those that have expired by then, in seconds since 1970; the connection, if one of them is the server's. */
	expireSubscriptions(until: number): void {
		this.subscriptionsExpireAt = Number.POSITIVE_INFINITY;
		for (const { channel, grant, isServerSide } of [...this.subscriptions.values()]) {
			if (grant === null) continue;
			if (grant.expiresAt > until) this.subscriptionsExpireAt = Math.min(this.subscriptionsExpireAt, grant.expiresAt);
			else if (!isServerSide) this.endSubscription(channel, unsubscribes[UnsubscribeCode.expired]);
			else {
				this.close(DisconnectCode.subscriptionExpired);
				return;
			}
		}
	}

	/** Something that it has not asked for, outside of a reply. */
	push(push: Push): void {
		const { framing, transport } = this;
		if (!this.isGone) transport.send(framing.frame([framing.encode({ push })]), framing.codec.binary);
	}

	/** Nothing for a channel that it does not listen to. */
	unsubscribe(channel: string): void {
		const subscription = this.subscriptions.get(channel);
		if (subscription === undefined) return;
		this.#subscriptions!.delete(channel);
		this.#endpoint.hub.unsubscribe(this.transport, subscription.audience);
		this.#endpoint.presence.leave(channel, this);
	}

	override closeFrame(code: number): { readonly code: number; readonly reason: string } {
		if (code === CloseCode.goingAway) return disconnects[3001];
		return disconnects[code as DisconnectCode] ?? super.closeFrame(code);
	}

	#expects({ grant }: Subscription): void {
		if (grant === null || grant.expiresAt === Number.POSITIVE_INFINITY) return;
		this.subscriptionsExpireAt = Math.min(this.subscriptionsExpireAt, grant.expiresAt);
		this.#endpoint.heartbeats.refreshed(this);
	}

	#release(): void {
		for (const { isPresent, channel } of this.subscriptions.values()) if (isPresent) this.#endpoint.presence.leave(channel, this);
		this.#subscriptions = null;
		this.backlog = null;
		this.#endpoint.heartbeats.closed(this);
	}
}

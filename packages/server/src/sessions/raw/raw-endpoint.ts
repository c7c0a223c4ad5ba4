import type { Config } from "@shardcast/config";
import { type Reply, refusal, tokenIn, type WebSocketPath } from "@shardcast/http";
import { DisconnectCode } from "@shardcast/protocol";
import type { Counters } from "@shardcast/scoreboard";
import { channelNameAt, everybody, monotonicMs } from "@shardcast/wire";
import type { DeliveredRecord } from "../../delivery/delivered-record.ts";
import type { Incoming } from "../../delivery/incoming/incoming.ts";
import type { Hub } from "../../hub/hub.ts";
import type { Commit, Feature } from "../../lifecycle/feature.ts";
import type { LiveConfig } from "../../lifecycle/live-config.ts";
import type { Admitted, ConnectionCheck } from "../../limits/connection-check.ts";
import type { UserLimit } from "../../limits/user-limit.ts";
import type { TopicTransport } from "../../transports/transport.ts";
import type { UpgradeRequest } from "../../transports/upgrade-request.ts";
import { ConnectedUsers } from "../centrifuge/connected-users.ts";
import type { ShardRevocations } from "../centrifuge/tokens/shard-revocations.ts";
import type { TokenVerifier } from "../centrifuge/tokens/token-verifier.ts";
import type { ClientSession } from "../client-session.ts";
import { type ChannelRule, droppingRule } from "../lanes/lane-rules.ts";
import type { SenderIds } from "../sender-ids.ts";
import type { Connecting, PendingConnect, SessionFactory, TransportLimits } from "../session.ts";
import type { Sessions } from "../sessions.ts";
import { ChannelSets } from "./channel-sets.ts";
import { channelsAsked, rawParameters } from "./channels-asked.ts";
import { RawAccess, type RawAccessParts, type RawGrant } from "./raw-access.ts";
import { RawExpiry } from "./raw-expiry.ts";
import { RawFrames } from "./raw-frames.ts";
import { RawMembers, type RawMembersParts } from "./raw-members.ts";
import { RawSession } from "./raw-session.ts";
import { RawUserSession } from "./raw-user-session.ts";
import { revokedReply } from "./revoked-reply.ts";

type Connected = Connecting<TopicTransport> | { readonly refused: Reply };

interface RawEndpointParts {
	/** Allows as many distinct channel sets as connections. */
	readonly options: {
		readonly config: Pick<Config, "lbAffinityFrom" | "maxPayloadBytes" | "messageRate">;
		readonly row: Pick<Counters, "add"> & { readonly connectionsMax: number };
	};
	readonly live: RawAccessParts["live"] & { readonly mayPublish: Pick<LiveConfig["mayPublish"], "webSocket"> };
	/** Verifies connection tokens. */
	readonly tokens: () => TokenVerifier;
	/** Users and tokens that are refused although the token is valid. */
	readonly revocations: () => Pick<ShardRevocations, "isBlocked" | "isRevoked">;
	/** See `RawMembers`. */
	readonly members: Omit<RawMembersParts, "namespaces">;
	readonly userLimit: () => Pick<UserLimit, "admit" | "left">;
	/** Clocks in seconds, monotonic and since 1970; replaced in tests. */
	readonly now?: () => number;
	readonly unixTime?: () => number;
	readonly sessions: Sessions;
	readonly hub: Hub;
	readonly senders: SenderIds<ClientSession>;
	readonly incoming: Pick<Incoming, "fromClient">;
	readonly check: Pick<ConnectionCheck, "judge" | "stopping" | "admit" | "left" | "full">;
}

/**
 * A longer frame cuts the connection before it is read. A frame within this limit that is still too long is read, so that the client gets close
 * code 1009; the library would only cut the connection. By default no larger than what may wait for a client.
 */
const cutBytesMin = 1024 * 1024;

/** The raw endpoint: a WebSocket without a subprotocol that receives the channels in `?channels=`, or everything. */
export class RawEndpoint implements SessionFactory<TopicTransport>, Feature {
	readonly name = "raw";
	readonly endpoints = [this];
	readonly paths: readonly WebSocketPath[] = ["/", "/ws"];
	readonly sessions: Sessions;
	readonly hub: Hub;
	readonly channelSets: ChannelSets;
	readonly senders: SenderIds<ClientSession>;
	readonly connected = new ConnectedUsers<RawUserSession>();
	readonly frames: RawFrames;
	readonly expiry: RawExpiry;
	readonly members: RawMembers;
	readonly #access: RawAccess;
	#parameters: readonly string[];
	readonly #parts: RawEndpointParts;

	constructor(parts: RawEndpointParts) {
		const { options, live, sessions, hub, senders, incoming } = parts;
		const { config, row } = options;
		this.#parameters = rawParameters(config);
		this.#parts = parts;
		this.sessions = sessions;
		this.hub = hub;
		this.senders = senders;
		this.channelSets = new ChannelSets(everybody, row.connectionsMax);
		hub.add(this.channelSets);
		const { now = () => monotonicMs() / 1000, unixTime = () => Date.now() / 1000 } = parts;
		this.expiry = new RawExpiry({ closeDelayMs: () => live.config.expiredCloseDelayMs, now, unixTime });
		this.members = new RawMembers({ ...parts.members, namespaces: () => live.namespaces });
		this.#access = new RawAccess({ live, tokens: parts.tokens, unixTime });
		this.frames = new RawFrames(
			{
				incoming,
				senders,
				counters: row,
				payloadBytesMax: config.maxPayloadBytes,
				mayPublish: (client) => this.#mayPublish(client),
				nowMs: () => performance.now(),
			},
			{ perSecond: config.messageRate, clientsMax: row.connectionsMax },
		);
	}

	/** Whether publications to one of these channels may be dropped for a slow client. An empty list = whether those of any channel may. */
	mayDrop(channels: readonly string[]): boolean {
		const { namespaces } = this.#parts.live;
		if (!namespaces.mayDrop) return false;
		return channels.length === 0 || channels.some((channel) => namespaces.of(channel).slowClient.policy !== "disconnect");
	}

	/** The rule for a record when a client reads too slowly. The first of the record's channels decides. */
	laneRule({ head, u8 }: DeliveredRecord): ChannelRule {
		const { namespaces } = this.#parts.live;
		return droppingRule(head.channelCount === 0 ? namespaces.everybody : namespaces.of(channelNameAt(u8, head.channelsStart)));
	}

	limits(): TransportLimits {
		const { options, live } = this.#parts;
		const { maxBufferedBytes, idleTimeoutMs } = live.config;
		const frameBytesMax = Math.max(cutBytesMin, options.config.maxPayloadBytes * 2);
		return { frameBytesMax, bufferedBytesMax: maxBufferedBytes, idleTimeoutMs };
	}

	reload(config: Config): Commit {
		const { messageRate } = config;
		const closes = this.#access.expelsAnonymous(config);
		return () => {
			if (closes) this.#closeUnidentified();
			const { connectionsMax } = this.#parts.options.row;
			this.#parameters = rawParameters(config);
			this.channelSets.channelSetsMax = connectionsMax;
			this.frames.rate.perSecond = messageRate;
			this.frames.rate.clientsMax = connectionsMax;
			for (const session of this.sessions.all) if (session instanceof RawSession) session.watch();
		};
	}

	everySecond(): void {
		this.expiry.tick();
	}

	connect(request: UpgradeRequest): Connected | PendingConnect<TopicTransport> {
		const { check } = this.#parts;
		const refused = check.judge(request.head);
		if (refused !== null) return { refused };
		const asked = channelsAsked(request.head.query, this.#parameters);
		if ("refused" in asked) return asked;
		const admitted = check.admit(request);
		if ("refused" in admitted) return admitted;
		const token = tokenIn(request.head, this.#parts.live.config.rawTokenCookie);
		if (this.#access.isOpenTo(token)) return this.#enter(admitted, { identity: null, channels: asked.channels, receivesAll: true });
		return {
			decided: this.#access.judge(token, asked.channels).then((grant) => () => this.#decided(admitted, grant)),
			abandon: () => check.left(admitted.addressSlot),
		};
	}

	#decided(admitted: Admitted, grant: RawGrant | { readonly refused: Reply }): Connected {
		const { check } = this.#parts;
		const refused = "refused" in grant ? this.#counted(grant.refused) : this.#recheck(grant);
		if (refused === null) return this.#enter(admitted, grant as RawGrant);
		check.left(admitted.addressSlot);
		return { refused };
	}

	#counted(refused: Reply): Reply {
		const { row } = this.#parts.options;
		if (refused.status === 401) row.add("refusedUnauthorized", 1);
		else if (refused.status === 403) row.add("refusedForbidden", 1);
		return refused;
	}

	/**
	 * Checks again what may have changed while the token was verified: a drain, the limits, revocations. Null = the client is still admitted.
	 */
	#recheck({ identity }: RawGrant): Reply | null {
		const { check, options, revocations } = this.#parts;
		const revoked = identity === null ? null : revokedReply(revocations(), identity);
		if (revoked !== null) return this.#counted(revoked);
		return check.stopping() ?? (this.sessions.count < options.row.connectionsMax ? null : check.full());
	}

	#enter(admitted: Admitted, { identity, channels, receivesAll }: RawGrant): Connected {
		const { check } = this.#parts;
		const channelSet = this.channelSets.enter(channels, receivesAll);
		if (channelSet === null) {
			check.left(admitted.addressSlot);
			return { refused: check.full() };
		}
		if (identity === null) return { session: new RawSession(this, admitted, channelSet) };
		const session = new RawUserSession(this, admitted, channelSet, identity);
		if (this.userLimit.admit(session, identity.user)) return { session };
		this.channelSets.leave(channelSet);
		check.left(admitted.addressSlot);
		return { refused: refusal("connections_per_user") };
	}

	get userLimit(): Pick<UserLimit, "admit" | "left"> {
		return this.#parts.userLimit();
	}

	/** The authenticated clients of a user. */
	readonly clientsOf = (user: string): readonly RawUserSession[] => this.connected.of(user).filter(({ isGone }) => !isGone);

	#mayPublish({ user, channelSet }: RawSession): boolean {
		const { live } = this.#parts;
		return live.authRequired ? this.#access.mayPublish(user, channelSet!.channels) : live.mayPublish.webSocket === "everyone";
	}

	/** Closes the clients that connected without authentication before it was required. They can reconnect with a token. */
	#closeUnidentified(): void {
		for (const session of this.sessions.snapshot())
			if (session instanceof RawSession && !session.isIdentified) session.close(DisconnectCode.forceReconnect);
	}
}

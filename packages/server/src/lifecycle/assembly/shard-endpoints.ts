import type { Tracer } from "@shardcast/telemetry";
import type { Incoming } from "../../delivery/incoming/incoming.ts";
import { Hub } from "../../hub/hub.ts";
import type { NoticeListeners } from "../../redis/notices.ts";
import { CentrifugeEndpoint } from "../../sessions/centrifuge/centrifuge-endpoint.ts";
import type { ClientSession } from "../../sessions/client-session.ts";
import { DirectMessages } from "../../sessions/direct-messages.ts";
import { RawEndpoint } from "../../sessions/raw/raw-endpoint.ts";
import { SenderIds } from "../../sessions/sender-ids.ts";
import { SubscriptionEnds } from "../../sessions/subscription-ends.ts";
import type { LiveConfig } from "../live-config.ts";
import type { ShardOptions } from "../shard-options.ts";
import type { ChannelSubscribers, ShardChannels } from "./shard-channels.ts";
import type { ShardClients } from "./shard-clients.ts";

interface ShardEndpointsParts {
	readonly options: ShardOptions;
	readonly live: LiveConfig;
	readonly clients: ShardClients;
	readonly channels: ShardChannels;
	readonly incoming: Incoming;
	/** Null = calls of backends are not traced. */
	readonly tracer: Tracer | null;
	/** Called after each record written to the ring. */
	readonly onCommit: () => void;
}

/** The endpoints of a shard, one per protocol, and what they share: the hub and the numbers of senders. */
export class ShardEndpoints implements ChannelSubscribers {
	readonly hub = new Hub();
	readonly senders = new SenderIds<ClientSession>();
	readonly raw: RawEndpoint;
	readonly centrifuge: CentrifugeEndpoint;
	/** Delivers messages to connections, outside of channels. */
	readonly direct: DirectMessages;
	readonly listeners: NoticeListeners;
	readonly #ends: SubscriptionEnds;

	constructor({ options, live, clients, channels, incoming, tracer, onCommit }: ShardEndpointsParts) {
		const { hub, senders } = this;
		const { check, events } = clients;
		const { sessions } = clients.clients;
		const { history, reader, durable, redis, histories } = channels;
		const shared = { options, live, sessions, hub, senders, incoming, check };
		this.raw = new RawEndpoint({
			...shared,
			tokens: () => this.centrifuge.tokens.connection,
			revocations: () => this.centrifuge.revocations,
			members: {
				presence: () => this.centrifuge.subscribers.presence,
				announce: (type, channel, info) => this.centrifuge.announce(type, channel, info),
			},
			userLimit: () => this.centrifuge.userLimit,
		});
		this.centrifuge = new CentrifugeEndpoint({
			...shared,
			...{ history, reader, durable, histories, events, tracer, onCommit },
			kafka: options.ingest?.history ?? null,
			rawClients: this.raw.clientsOf,
		});
		const { raw, centrifuge } = this;
		this.#ends = new SubscriptionEnds({ sessions, subscribers: centrifuge.subscribers });
		this.direct = new DirectMessages({
			ofUser: (user) => [...centrifuge.connected.of(user), ...raw.clientsOf(user)],
			all: () => sessions.snapshot(),
		});
		const { patterns, audiences } = centrifuge.subscribers;
		this.listeners = {
			want: (channel) => raw.channelSets.unfiltered.audience.clients > 0 || patterns.reach(channel) > 0,
			version: () => raw.channelSets.unfilteredBegan + patterns.audiencesMade,
		};
		if (redis === null) return;
		audiences.watch = redis.wanted;
		raw.channelSets.watch = redis.wanted;
	}

	subscribed(): Iterable<string> {
		return [...this.centrifuge.subscribers.audiences.names(), ...this.raw.channelSets.names()];
	}

	endSubscriptions(channels: ReadonlySet<string>): void {
		this.#ends.end(channels);
	}
}

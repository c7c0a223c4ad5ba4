import type { Config } from "@shardcast/config";
import type { Counters } from "@shardcast/scoreboard";
import { everybody } from "@shardcast/wire";
import type { Incoming } from "../../delivery/incoming/incoming.ts";
import type { Hub } from "../../hub/hub.ts";
import type { Commit, Feature } from "../../lifecycle/feature.ts";
import type { LiveConfig } from "../../lifecycle/live-config.ts";
import type { ConnectionCheck } from "../../limits/connection-check.ts";
import type { TopicTransport } from "../../transports/transport.ts";
import type { UpgradeRequest } from "../../transports/upgrade-request.ts";
import type { ClientSession } from "../client-session.ts";
import type { SenderIds } from "../sender-ids.ts";
import type { SessionFactory, TransportLimits } from "../session.ts";
import type { Sessions } from "../sessions.ts";
import { ChannelSets } from "./channel-sets.ts";
import { channelsAsked } from "./channels-asked.ts";
import { RawFrames } from "./raw-frames.ts";
import { RawSession } from "./raw-session.ts";

export interface RawEndpointParts {
	/** There may be as many distinct sets of channels as connections. */
	readonly options: {
		readonly config: Pick<Config, "maxPayloadBytes" | "messageRate">;
		readonly row: Pick<Counters, "add"> & { readonly connectionsMax: number };
	};
	readonly live: {
		readonly config: Pick<Config, "maxBufferedBytes" | "idleTimeoutMs">;
		readonly mayPublish: Pick<LiveConfig["mayPublish"], "webSocket">;
	};
	readonly sessions: Sessions;
	readonly hub: Hub;
	readonly senders: SenderIds<ClientSession>;
	readonly incoming: Pick<Incoming, "fromClient">;
	readonly check: Pick<ConnectionCheck, "judge" | "admit" | "left" | "full">;
}

/**
 * A frame longer than this cuts the connection before it is read. Up to it a frame that is too long is read, so that the client
 * can be told 1009: the library itself only cuts. No more than a client may have unread on its way out by default.
 */
const cutBytesMin = 1024 * 1024;

/** The raw endpoint: a WebSocket without a protocol, which listens to the channels in `?channels=`, or to everything. */
export class RawEndpoint implements SessionFactory<TopicTransport>, Feature {
	readonly name = "raw";
	readonly endpoints = [this];
	readonly paths = ["/", "/ws"];
	readonly sessions: Sessions;
	readonly hub: Hub;
	readonly channelSets: ChannelSets;
	readonly senders: SenderIds<ClientSession>;
	readonly frames: RawFrames;
	readonly #parts: RawEndpointParts;

	constructor(parts: RawEndpointParts) {
		const { options, live, sessions, hub, senders, incoming } = parts;
		const { config, row } = options;
		this.#parts = parts;
		this.sessions = sessions;
		this.hub = hub;
		this.senders = senders;
		this.channelSets = new ChannelSets(everybody, row.connectionsMax);
		hub.add(this.channelSets);
		this.frames = new RawFrames(
			{
				incoming,
				senders,
				counters: row,
				payloadBytesMax: config.maxPayloadBytes,
				get clientsMayPublish() {
					return live.mayPublish.webSocket === "everyone";
				},
				nowMs: () => performance.now(),
			},
			{ perSecond: config.messageRate, clientsMax: row.connectionsMax },
		);
	}

	limits(): TransportLimits {
		const { options, live } = this.#parts;
		const { maxBufferedBytes, idleTimeoutMs } = live.config;
		const frameBytesMax = Math.max(cutBytesMin, options.config.maxPayloadBytes * 2);
		return { frameBytesMax, bufferedBytesMax: maxBufferedBytes, idleTimeoutMs };
	}

	reload({ messageRate }: Pick<Config, "messageRate">): Commit {
		return () => {
			const { connectionsMax } = this.#parts.options.row;
			this.channelSets.channelSetsMax = connectionsMax;
			this.frames.rate.perSecond = messageRate;
			this.frames.rate.clientsMax = connectionsMax;
		};
	}

	connect(request: UpgradeRequest): ReturnType<SessionFactory<TopicTransport>["connect"]> {
		const { check } = this.#parts;
		const refused = check.judge(request.head);
		if (refused !== null) return { refused };
		const asked = channelsAsked(request.head.query);
		if ("refused" in asked) return asked;
		const admitted = check.admit(request);
		if ("refused" in admitted) return admitted;
		const channelSet = this.channelSets.enter(asked.channels);
		if (channelSet !== null) return { session: new RawSession(this, admitted, channelSet) };
		check.left(admitted.addressSlot);
		return { refused: check.full() };
	}
}

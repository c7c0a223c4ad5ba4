import {
	type ChannelCounts,
	type ConnectionInfos,
	channelCountsQuestion,
	connectionsQuestion,
	connectionsWithin,
	inventoryLimits,
	type NodeInfo,
	nodesQuestion,
	type PartAnswers,
} from "@shardcast/control";
import { globMatches } from "../../json/glob.ts";
import { version } from "../../version.ts";
import type { CentrifugeSession } from "./centrifuge-session.ts";
import type { ConnectedUsers } from "./connected-users.ts";
import type { Subscribers } from "./subscribers.ts";
import type { Heartbeats } from "./timing/heartbeats.ts";
import type { UsersParts } from "./users.ts";

export interface InventoryParts {
	readonly subscribers: Pick<Subscribers, "audiences" | "patterns">;
	readonly connected: Pick<ConnectedUsers, "of" | "count">;
	/** The user's clients of the raw endpoint, on this shard. */
	readonly rawClients: UsersParts["rawClients"];
	readonly heartbeats: Pick<Heartbeats, "count">;
	/** Of this shard. */
	readonly uid: string;
	readonly slot: number;
}

/** What this shard has: channels, connections, and itself at a glance. For the server API. */
export class Inventory {
	readonly #parts: InventoryParts;

	constructor(parts: InventoryParts) {
		this.#parts = parts;
	}

	answers(parts: PartAnswers): void {
		parts.add(channelCountsQuestion, ({ patterns }) => this.channels(patterns));
		parts.add(connectionsQuestion, ({ user }) => this.connections(user));
		parts.add(nodesQuestion, () => this.node());
	}

	/** Costs about 2 ms for 20,000 channels. Null = more than fit into an answer. */
	channels(patterns: readonly string[]): ChannelCounts {
		const found = new Map<string, number>();
		let bytes = 0;
		let fits = true;
		this.#parts.subscribers.audiences.each((name, subscribers) => {
			if (!patterns.every((pattern) => globMatches(pattern, name))) return true;
			found.set(name, subscribers);
			bytes += name.length;
			fits = found.size <= inventoryLimits.entries && bytes <= inventoryLimits.bytes;
			return fits;
		});
		return fits ? Object.fromEntries(found) : null;
	}

	connections(user: string): ConnectionInfos {
		const all = this.#parts.connected
			.of(user)
			.filter(({ isGone }) => !isGone)
			.map((session) => ({ client: session.id, user, ...wayOf(session), channels: session.channels }));
		for (const { id, channels } of this.#parts.rawClients(user))
			all.push({ client: id, user, transport: "websocket", protocol: "raw", channels });
		return connectionsWithin(all) ? all : null;
	}

	node(): NodeInfo {
		const { subscribers, connected, heartbeats, uid, slot } = this.#parts;
		const { audiences, patterns } = subscribers;
		return {
			uid,
			name: `shard-${slot}`,
			version,
			clients: heartbeats.count,
			users: connected.count,
			subscriptions: audiences.subscriptions + patterns.subscriptions,
			channels: audiences.channelCount,
			uptime: Math.floor(process.uptime()),
		};
	}
}

/** By Centrifugo's names. */
function wayOf({ framing, sessionId }: CentrifugeSession): { readonly transport: string; readonly protocol: string } {
	const protocol = framing.codec.binary ? "protobuf" : "json";
	const { isUni, name } = framing;
	const isStream = name.includes("stream");
	if (isUni) return { transport: name.includes("sse") ? "uni_sse" : isStream ? "uni_http_stream" : "uni_websocket", protocol };
	if (sessionId === "") return { transport: "websocket", protocol };
	return { transport: isStream ? "http_stream" : "sse", protocol };
}

import {
	type ChannelCounts,
	type ConnectionInfo,
	type ConnectionInfos,
	channelCountsQuestion,
	connectionsQuestion,
	connectionsWithin,
	inventoryLimits,
	type NodeInfo,
	nodesQuestion,
	type Page,
	type PartAnswers,
	pageOf,
} from "@shardcast/control";
import { globMatches } from "../../json/glob.ts";
import { version } from "../../version.ts";
import type { CentrifugeSession } from "./centrifuge-session.ts";
import type { ConnectedUsers } from "./connected-users.ts";
import { FirstNames } from "./first-names.ts";
import type { Subscribers } from "./subscribers.ts";
import type { Heartbeats } from "./timing/heartbeats.ts";
import type { UsersParts } from "./users.ts";

export interface InventoryParts {
	readonly subscribers: Pick<Subscribers, "audiences" | "patterns">;
	readonly connected: Pick<ConnectedUsers<CentrifugeSession>, "of" | "count">;
	/** The user's clients of the raw endpoint on this shard. */
	readonly rawClients: UsersParts["rawClients"];
	readonly heartbeats: Pick<Heartbeats, "count">;
	/** Identifies this shard on its node. */
	readonly uid: string;
	readonly slot: number;
	/** Id of this node among several; "" = it works alone. */
	readonly node: string;
}

/** Describes this shard for the server API: its channels, its connections, and a summary. */
export class Inventory {
	readonly #parts: InventoryParts;

	constructor(parts: InventoryParts) {
		this.#parts = parts;
	}

	answers(parts: PartAnswers): void {
		parts.add(channelCountsQuestion, ({ patterns, ...page }) => this.channels(patterns, page));
		parts.add(connectionsQuestion, ({ user, ...page }) => this.connections(user, page));
		parts.add(nodesQuestion, () => this.node());
	}

	/** Takes about 2 ms for 20,000 channels. Null = too many for one answer. */
	channels(patterns: readonly string[], page: Page = {}): ChannelCounts {
		const found =
			page.most === undefined ? this.#channels(patterns, page.after ?? "") : this.#firstChannels(patterns, page.after ?? "", page.most);
		return found === null ? null : Object.fromEntries(found);
	}

	#firstChannels(patterns: readonly string[], after: string, most: number): Iterable<readonly [string, number]> | null {
		const first = new FirstNames<number>(most);
		this.#parts.subscribers.audiences.each((name, subscribers) => {
			if (name > after && patterns.every((pattern) => globMatches(pattern, name))) first.add(name, subscribers);
			return true;
		});
		const { list } = first;
		let bytes = 0;
		for (const [name] of list) bytes += name.length;
		return bytes <= inventoryLimits.bytes ? list : null;
	}

	#channels(patterns: readonly string[], after: string): Iterable<readonly [string, number]> | null {
		const found = new Map<string, number>();
		let bytes = 0;
		let fits = true;
		this.#parts.subscribers.audiences.each((name, subscribers) => {
			if (name <= after || !patterns.every((pattern) => globMatches(pattern, name))) return true;
			found.set(name, subscribers);
			bytes += name.length;
			fits = found.size <= inventoryLimits.entries && bytes <= inventoryLimits.bytes;
			return fits;
		});
		return fits ? found : null;
	}

	connections(user: string, page: Page = {}): ConnectionInfos {
		const sessions = [...this.#parts.connected.of(user).filter(({ isGone }) => !isGone), ...this.#parts.rawClients(user)];
		const all = sessions.flatMap((session): ConnectionInfo[] => {
			const description = session.describe();
			return description === null ? [] : [{ ...description, channels: session.channels }];
		});
		const found = pageOf(all, ({ client }) => client, page);
		return connectionsWithin(found) ? found : null;
	}

	node(): NodeInfo {
		const { subscribers, connected, heartbeats, uid, slot, node } = this.#parts;
		const { audiences, patterns } = subscribers;
		const prefix = node === "" ? "" : `${node}_`;
		return {
			uid: `${prefix}${uid}`,
			name: `${prefix}shard-${slot}`,
			version,
			clients: heartbeats.count,
			users: connected.count,
			subscriptions: audiences.subscriptions + patterns.subscriptions,
			channels: audiences.channelCount,
			uptime: Math.floor(process.uptime()),
		};
	}
}

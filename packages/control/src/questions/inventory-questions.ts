import type { Question } from "../asking/question.ts";
import type { Questions } from "../asking/questions.ts";
import { channelCountsRequest, connectionsRequest, nothing } from "./requests.ts";

/** Most channels or connections in an answer, and most bytes of their names. */
export const inventoryLimits = { entries: 32_768, bytes: 4 * 1024 * 1024 } as const;

/** A page of a long list, ordered by the UTF-16 code units of its keys. */
export interface Page {
	/** Start after this key; absent = from the start. */
	readonly after?: string;
	/** Most entries, at least 1; absent = all. Callers ask for one more than they need, to know whether there are more. */
	readonly most?: number;
}

/** Number of subscribers by channel. Null = more than `inventoryLimits`. */
export type ChannelCounts = Readonly<Record<string, number>> | null;

/** All channels with subscribers of the Centrifuge protocol whose names match one of these patterns, on all shards of all nodes. */
export const channelCountsQuestion: Question<{ readonly patterns: readonly string[] } & Page, ChannelCounts, ChannelCounts> = {
	name: "channel_counts",
	asks: "shards",
	deadlineMs: 2000,
	isWhole: true,
	acrossNodes: { check: channelCountsRequest },
	check: (data) => {
		const isTable = typeof data === "object" && !Array.isArray(data);
		if (!isTable || Object.values(data ?? {}).some((count) => typeof count !== "number")) throw new Error("it is not a table of channels");
		return data as ChannelCounts;
	},
};

/** A connected client of the Centrifuge protocol. */
export interface ConnectionInfo {
	readonly client: string;
	readonly user: string;
	/** Such as "websocket". */
	readonly transport: string;
	/** "json" or "protobuf". */
	readonly protocol: string;
	readonly channels: readonly string[];
}

/** Null = more than `inventoryLimits`. */
export type ConnectionInfos = readonly ConnectionInfo[] | null;

/** The connections of a user, on all shards of all nodes. A page is ordered by client id. */
export const connectionsQuestion: Question<{ readonly user: string } & Page, ConnectionInfos, ConnectionInfos> = {
	name: "connections",
	asks: "shards",
	deadlineMs: 2000,
	isWhole: true,
	acrossNodes: { check: connectionsRequest },
	check: (data) => {
		if (data !== null && !(Array.isArray(data) && data.every(isConnection))) throw new Error("it is not a list of connections");
		return data as ConnectionInfos;
	},
};

/** A summary of a shard. */
export interface NodeInfo {
	readonly uid: string;
	readonly name: string;
	readonly version: string;
	readonly clients: number;
	readonly users: number;
	readonly subscriptions: number;
	readonly channels: number;
	/** Seconds since it started to serve. */
	readonly uptime: number;
}

/** Summaries of all shards of all nodes. */
export const nodesQuestion: Question<null, NodeInfo, readonly NodeInfo[]> = {
	name: "nodes",
	asks: "shards",
	deadlineMs: 2000,
	isWhole: true,
	acrossNodes: { check: nothing },
	check: (data) => {
		const { uid, name, version, ...counts } = (data ?? {}) as Partial<NodeInfo>;
		const { clients, users, subscriptions, channels, uptime } = counts;
		const isShard =
			[uid, name, version].every((each) => typeof each === "string") &&
			[clients, users, subscriptions, channels, uptime].every((each) => typeof each === "number");
		if (!isShard) throw new Error("it is not a shard");
		return data as NodeInfo;
	},
};

function isConnection(data: unknown): boolean {
	const { client, user, transport, protocol, channels } = (data ?? {}) as Readonly<Record<string, unknown>>;
	const texts = [client, user, transport, protocol, ...(Array.isArray(channels) ? channels : [null])];
	return texts.every((each) => typeof each === "string");
}

/** Registers how the parts are merged into an answer. */
export function answerInventory(questions: Pick<Questions, "add">): void {
	questions.add(channelCountsQuestion, (parts, { request }) => {
		const sums = new Map<string, number>();
		for (const part of parts) {
			if (part === null) return null;
			for (const [name, clients] of Object.entries(part)) sums.set(name, (sums.get(name) ?? 0) + clients);
		}
		// Each shard has sent its first entries, so the first ones of all shards are among them.
		const page = pageOf([...sums], ([name]) => name, request);
		return withinInventory(new Map(page)) ? Object.fromEntries(page) : null;
	});
	questions.add(connectionsQuestion, (parts, { request }) => {
		if (parts.includes(null)) return null;
		const all = pageOf(
			parts.flatMap((part) => part!),
			({ client }) => client,
			request,
		);
		return connectionsWithin(all) ? all : null;
	});
	questions.add(nodesQuestion, (parts) => [...parts]);
}

/** Returns a page of the items; all of them, unordered, if the page has neither start nor limit. */
export function pageOf<Entry>(entries: readonly Entry[], keyOf: (entry: Entry) => string, { after, most }: Page): readonly Entry[] {
	if (after === undefined && most === undefined) return entries;
	const compare = (a: Entry, b: Entry) => (keyOf(a) < keyOf(b) ? -1 : 1);
	const left = after === undefined ? [...entries] : entries.filter((entry) => keyOf(entry) > after);
	return left.sort(compare).slice(0, most);
}

export function connectionsWithin(connections: readonly ConnectionInfo[]): boolean {
	if (connections.length > inventoryLimits.entries) return false;
	let bytes = 0;
	for (const { user, channels } of connections) {
		bytes += user.length;
		for (const name of channels) bytes += name.length;
	}
	return bytes <= inventoryLimits.bytes;
}

function withinInventory(sums: ReadonlyMap<string, number>): boolean {
	if (sums.size > inventoryLimits.entries) return false;
	let bytes = 0;
	for (const name of sums.keys()) bytes += name.length;
	return bytes <= inventoryLimits.bytes;
}

import type { Question } from "./question.ts";
import type { Questions } from "./questions.ts";

/** A client of the Centrifuge protocol that is subscribed to a channel. */
export interface PresentClient {
	readonly client: string;
	/** "" = nobody in particular. */
	readonly user: string;
	/** What its token says about it, as JSON; absent = nothing. */
	readonly info?: string;
	/** What its subscription token says about it, likewise. */
	readonly channelInfo?: string;
}

export interface PresenceRequest {
	readonly channel: string;
}

/** Most clients, and bytes of what tokens say about them, in one answer. */
export const presenceLimits = { clients: 32_768, bytes: 16 * 1024 * 1024 } as const;

/** Null = more than `presenceLimits`. */
export type PresentClients = readonly PresentClient[] | null;

/** Who is subscribed to a channel, on all shards. */
export const presenceQuestion: Question<PresenceRequest, PresentClients, PresentClients> = {
	name: "presence",
	asks: "shards",
	deadlineMs: 1000,
	isWhole: true,
	check: (data) => {
		if (data !== null && !Array.isArray(data)) throw new Error("it is no list of clients");
		return data as PresentClients;
	},
};

/** How many a shard has in a channel, and whose they are, each user once. */
export interface PresencePart {
	readonly clients: number;
	readonly users: readonly string[];
}

export interface PresenceStats {
	readonly clients: number;
	readonly users: number;
}

/** How many are subscribed to a channel, on all shards together. */
export const presenceStatsQuestion: Question<PresenceRequest, PresencePart, PresenceStats> = {
	name: "presence_stats",
	asks: "shards",
	deadlineMs: 1000,
	isWhole: true,
	check: (data) => {
		const part = data as Partial<PresencePart> | null;
		if (typeof part?.clients !== "number" || !Array.isArray(part.users)) throw new Error("it is no part of the presence");
		return part as PresencePart;
	},
};

/** For whoever asks: how the parts become one answer. */
export function answerPresence(questions: Pick<Questions, "add">): void {
	questions.add(presenceQuestion, (parts) => withinLimits(parts.some((part) => part === null) ? null : parts.flatMap((part) => part!)));
	questions.add(presenceStatsQuestion, (parts) => ({
		clients: parts.reduce((sum, { clients }) => sum + clients, 0),
		users: new Set(parts.flatMap(({ users }) => users)).size,
	}));
}

/** Null when they are too many, or too much is said about them. */
export function withinLimits(clients: PresentClients): PresentClients {
	if (clients === null || clients.length > presenceLimits.clients) return null;
	let bytes = 0;
	for (const { info = "", channelInfo = "" } of clients) bytes += info.length + channelInfo.length;
	return bytes > presenceLimits.bytes ? null : clients;
}

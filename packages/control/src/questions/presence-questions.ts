import type { Question } from "../asking/question.ts";
import type { Questions } from "../asking/questions.ts";
import { presenceRequest } from "./requests.ts";

/** A subscriber of a channel, of the Centrifuge protocol. */
export interface PresentClient {
	readonly client: string;
	/** "" = anonymous. */
	readonly user: string;
	/** Info from its token, as JSON; absent = none. */
	readonly info?: string;
	/** Info from its subscription token, as JSON; absent = none. */
	readonly channelInfo?: string;
}

export interface PresenceRequest {
	readonly channel: string;
}

/** Most clients in an answer, and most bytes of their infos. */
export const presenceLimits = { clients: 32_768, bytes: 16 * 1024 * 1024 } as const;

/** Null = more than `presenceLimits`. */
export type PresentClients = readonly PresentClient[] | null;

/** Who is subscribed to a channel, on all shards of all nodes. */
export const presenceQuestion: Question<PresenceRequest, PresentClients, PresentClients> = {
	name: "presence",
	asks: "shards",
	deadlineMs: 1000,
	isWhole: true,
	acrossNodes: { check: presenceRequest },
	check: (data) => {
		if (data !== null && !(Array.isArray(data) && data.every(isClient))) throw new Error("it is not a list of clients");
		return data as PresentClients;
	},
};

/** A shard's number of subscribers of a channel, and their users without repetitions. */
export interface PresencePart {
	readonly clients: number;
	readonly users: readonly string[];
}

export interface PresenceStats {
	readonly clients: number;
	readonly users: number;
}

/** The number of subscribers of a channel, over all shards of all nodes. */
export const presenceStatsQuestion: Question<PresenceRequest, PresencePart, PresenceStats> = {
	name: "presence_stats",
	asks: "shards",
	deadlineMs: 1000,
	isWhole: true,
	acrossNodes: { check: presenceRequest },
	check: (data) => {
		const part = data as Partial<PresencePart> | null;
		if (typeof part?.clients !== "number" || !Array.isArray(part.users) || part.users.some((user) => typeof user !== "string"))
			throw new Error("it is not a part of the presence statistics");
		return part as PresencePart;
	},
};

function isClient(data: unknown): boolean {
	const { client, user, info = "", channelInfo = "" } = (data ?? {}) as Readonly<Record<string, unknown>>;
	return [client, user, info, channelInfo].every((text) => typeof text === "string");
}

/** Registers how the parts are merged into an answer. */
export function answerPresence(questions: Pick<Questions, "add">): void {
	questions.add(presenceQuestion, (parts) => withinLimits(parts.some((part) => part === null) ? null : parts.flatMap((part) => part!)));
	questions.add(presenceStatsQuestion, (parts) => ({
		clients: parts.reduce((sum, { clients }) => sum + clients, 0),
		users: new Set(parts.flatMap(({ users }) => users)).size,
	}));
}

/** Null when there are too many clients, or their infos are too long. */
export function withinLimits(clients: PresentClients): PresentClients {
	if (clients === null || clients.length > presenceLimits.clients) return null;
	let bytes = 0;
	for (const { info = "", channelInfo = "" } of clients) bytes += info.length + channelInfo.length;
	return bytes > presenceLimits.bytes ? null : clients;
}

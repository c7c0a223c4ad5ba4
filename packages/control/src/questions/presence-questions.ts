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

/** Who is subscribed to a channel, on any shard: a shard that is gone has no clients any more. */
export const presenceQuestion: Question<PresenceRequest, readonly PresentClient[], readonly PresentClient[]> = {
	name: "presence",
	asks: "shards",
	deadlineMs: 1000,
	check: (data) => {
		if (!Array.isArray(data)) throw new Error("it is no list of clients");
		return data as readonly PresentClient[];
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
	check: (data) => {
		const part = data as Partial<PresencePart> | null;
		if (typeof part?.clients !== "number" || !Array.isArray(part.users)) throw new Error("it is no part of the presence");
		return part as PresencePart;
	},
};

/** For whoever asks: how the parts become one answer. */
export function answerPresence(questions: Pick<Questions, "add">): void {
	questions.add(presenceQuestion, (parts) => parts.flat());
	questions.add(presenceStatsQuestion, (parts) => ({
		clients: parts.reduce((sum, { clients }) => sum + clients, 0),
		users: new Set(parts.flatMap(({ users }) => users)).size,
	}));
}

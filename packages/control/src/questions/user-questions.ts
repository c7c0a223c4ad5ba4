import type { Question } from "./question.ts";
import type { Questions } from "./questions.ts";

/** Connections of the Centrifuge protocol: all of a user, or one of them. */
export interface UserTarget {
	readonly user: string;
	/** Only this connection, by the id that its connect reply gave. */
	readonly client?: string;
	/** Only this connection, by the session id that its connect reply gave. */
	readonly session?: string;
}

export interface SubscribeUser extends UserTarget {
	readonly channel: string;
	/** JSON for other clients to see. */
	readonly info?: string;
	/** JSON for the client. */
	readonly data?: string;
	/** When the subscription ends, in seconds since 1970; absent = never. */
	readonly expireAt?: number;
	/** The client gets what was published after it. */
	readonly recoverSince?: { readonly offset: number; readonly epoch: string };
	/** Channel options that hold for these subscriptions only. */
	readonly override?: Readonly<Record<string, boolean>>;
}

export interface UnsubscribeUser extends UserTarget {
	readonly channel: string;
}

export interface DisconnectUser extends UserTarget {
	/** This connection stays, and with it those that have come after it. */
	readonly keep?: { readonly client: string; readonly since: number };
	/** Close code, 3000 to 4999, and its reason. */
	readonly code: number;
	readonly reason: string;
	/** These connections stay, by their ids. */
	readonly whitelist?: readonly string[];
}

export interface RefreshUser extends UserTarget {
	/** They are closed as expired. */
	readonly expired: boolean;
	/** When they expire, in seconds since 1970; absent = never. */
	readonly expireAt?: number;
	/** JSON for other clients to see; absent = as it was. */
	readonly info?: string;
}

const count = (data: unknown): number => {
	if (typeof data !== "number") throw new Error("it is no number");
	return data;
};

/** Has all shards do something; each says to how many connections it has. */
export const order = <Request>(name: string): Question<Request, number, number> => ({
	name,
	asks: "shards",
	deadlineMs: 5000,
	isOrder: true,
	check: count,
});

export const subscribeQuestion = order<SubscribeUser>("subscribe");
export const unsubscribeQuestion = order<UnsubscribeUser>("unsubscribe");
export const disconnectQuestion = order<DisconnectUser>("disconnect");
export const refreshQuestion = order<RefreshUser>("refresh");

/** To how many connections on all shards together. */
export const sum = (parts: readonly number[]): number => parts.reduce((all, each) => all + each, 0);

/** For whoever asks: how the parts become one answer. */
export function answerUsers(questions: Pick<Questions, "add">): void {
	for (const question of [subscribeQuestion, unsubscribeQuestion, disconnectQuestion, refreshQuestion])
		questions.add(question as Question<unknown, number, number>, sum);
}

import type { Question } from "../asking/question.ts";
import type { Questions } from "../asking/questions.ts";
import { disconnectRequest, refreshRequest, subscribeRequest, unsubscribeRequest } from "./requests.ts";

/** Connections of the Centrifuge protocol: all of a user's, or one of them. */
export interface UserTarget {
	readonly user: string;
	/** Only this connection, by the client id in its connect reply. */
	readonly client?: string;
	/** Only this connection, by the session id in its connect reply. */
	readonly session?: string;
}

export interface SubscribeUser extends UserTarget {
	readonly channel: string;
	/** JSON that other clients can see. */
	readonly info?: string;
	/** JSON for the client. */
	readonly data?: string;
	/** When the subscription ends, in seconds since 1970; absent = never. */
	readonly expireAt?: number;
	/** The client gets the publications after this position. */
	readonly recoverSince?: { readonly offset: number; readonly epoch: string };
	/** Channel options for these subscriptions only. */
	readonly override?: Readonly<Record<string, boolean>>;
}

export interface UnsubscribeUser extends UserTarget {
	readonly channel: string;
}

export interface DisconnectUser extends UserTarget {
	/** Keeps this connection and those opened after it. */
	readonly keep?: { readonly client: string; readonly since: number };
	/** Close code, 3000 to 4999. */
	readonly code: number;
	readonly reason: string;
	/** Client ids of connections to keep. */
	readonly whitelist?: readonly string[];
}

export interface RefreshUser extends UserTarget {
	/** Closes the connections as expired. */
	readonly expired: boolean;
	/** When they expire, in seconds since 1970; absent = never. */
	readonly expireAt?: number;
	/** JSON that other clients can see; absent = unchanged. */
	readonly info?: string;
}

const count = (data: unknown): number => {
	if (typeof data !== "number") throw new Error("it is not a number");
	return data;
};

/** An order to all shards, of all nodes if it says so. Each answers the number of connections affected. */
export const order = <Request>(
	name: string,
	acrossNodes?: Question<Request, number, number>["acrossNodes"],
): Question<Request, number, number> => ({
	name,
	asks: "shards",
	deadlineMs: 5000,
	isOrder: true,
	...(acrossNodes !== undefined && { acrossNodes }),
	check: count,
});

export const subscribeQuestion = order<SubscribeUser>("subscribe", { check: subscribeRequest });
export const unsubscribeQuestion = order<UnsubscribeUser>("unsubscribe", { check: unsubscribeRequest });
export const disconnectQuestion = order<DisconnectUser>("disconnect", {
	check: disconnectRequest,
	// The limit of connections of a user is counted by each node, by its own clock.
	when: ({ keep }) => keep === undefined,
});
export const refreshQuestion = order<RefreshUser>("refresh", { check: refreshRequest });

/** The number of connections affected on all shards. */
export const sum = (parts: readonly number[]): number => parts.reduce((all, each) => all + each, 0);

/** Registers how the parts are merged into an answer. */
export function answerUsers(questions: Pick<Questions, "add">): void {
	for (const question of [subscribeQuestion, unsubscribeQuestion, disconnectQuestion, refreshQuestion])
		questions.add(question as Question<unknown, number, number>, sum);
}

import type { Namespaces } from "@shardcast/channels";
import {
	type DisconnectUser,
	disconnectQuestion,
	type PartAnswers,
	type SubscribeUser,
	subscribeQuestion,
	type UnsubscribeUser,
	type UserTarget,
	unsubscribeQuestion,
} from "@shardcast/control";
import { DisconnectCode, type SubscribeRequest, UnsubscribeCode, unsubscribes } from "@shardcast/protocol";
import type { CentrifugeSession } from "./centrifuge-session.ts";
import type { ServerSubscription, ServerSubscriptions } from "./commands/server-subscriptions.ts";
import type { ConnectedUsers } from "./connected-users.ts";
import { inALaterTurn, waitMsMax } from "./timing/in-a-later-turn.ts";

export interface UsersParts {
	readonly connected: Pick<ConnectedUsers, "of">;
	readonly subscriptions: ServerSubscriptions;
	/** Looked up at each use. */
	readonly namespaces: () => Pick<Namespaces, "of">;
	readonly channelLimit: () => number;
}

const nobody: ReadonlyMap<string, SubscribeRequest> = new Map();

/** What a backend orders about the connections of a user on this shard: subscribe, unsubscribe, disconnect. Each says to how many it was done. */
export class Users {
	readonly #parts: UsersParts;

	constructor(parts: UsersParts) {
		this.#parts = parts;
	}

	answers(parts: PartAnswers): void {
		parts.add(subscribeQuestion, (request) => this.subscribe(request));
		parts.add(unsubscribeQuestion, (request) => this.unsubscribe(request));
		parts.add(disconnectQuestion, (request) => this.disconnect(request));
	}

	/** Those that are subscribed already stay as they are. One with too many channels is closed with 3505. */
	async subscribe({ channel: name, info, data, expireAt, ...target }: SubscribeUser): Promise<number> {
		const channel = this.#parts.namespaces().of(name);
		if (channel.error !== null) return 0;
		const bytes = (json: string | undefined) => (json === undefined ? null : Buffer.from(json));
		const wanted = { channel, info: bytes(info), data: bytes(data), expiresAt: expireAt ?? Number.POSITIVE_INFINITY, traits: 0 };
		const done = await Promise.all(this.#of(target).map((session) => this.#subscribe(session, wanted)));
		return done.filter((each) => each === true).length;
	}

	unsubscribe({ channel, ...target }: UnsubscribeUser): number {
		const sessions = this.#of(target).filter(({ subscriptions }) => subscriptions.has(channel));
		for (const session of sessions) session.endSubscription(channel, unsubscribes[UnsubscribeCode.server]);
		return sessions.length;
	}

	disconnect({ code, reason, keep, ...target }: DisconnectUser): number {
		const sessions = this.#of(target).filter(
			({ id, connectedAt }) => keep === undefined || (id !== keep.client && connectedAt <= keep.since),
		);
		for (const session of sessions) session.disconnect(code, reason);
		return sessions.length;
	}

	#of({ user, client }: UserTarget): CentrifugeSession[] {
		return this.#parts.connected.of(user).filter(({ id, isGone }) => !isGone && (client === undefined || id === client));
	}

	/** Null = not in time. False = there was nothing to do. */
	#subscribe(session: CentrifugeSession, wanted: ServerSubscription): boolean | null | Promise<boolean | null> {
		const { subscriptions, channelLimit } = this.#parts;
		const { name } = wanted.channel;
		return inALaterTurn((): boolean | null => {
			if (session.isGone || session.subscriptions.has(name)) return false;
			if (session.subscriptions.size >= channelLimit()) {
				session.close(DisconnectCode.channelLimit);
				return false;
			}
			const results = subscriptions.results(session.framing, [wanted], nobody);
			if (results === null) return null;
			const { recoverable, epoch, offset, positioned, data } = results.get(name)!;
			session.push({ channel: name, subscribe: { recoverable, epoch, offset, positioned, data } });
			subscriptions.subscribe(session, [wanted], results);
			return true;
		}, waitMsMax);
	}
}

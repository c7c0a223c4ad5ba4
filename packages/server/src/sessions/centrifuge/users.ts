import type { Namespaces } from "@shardcast/channels";
import {
	type DisconnectUser,
	disconnectQuestion,
	type PartAnswers,
	type RefreshUser,
	refreshQuestion,
	type SubscribeUser,
	subscribeQuestion,
	type UnsubscribeUser,
	type UserTarget,
	unsubscribeQuestion,
} from "@shardcast/control";
import { DisconnectCode, disconnects, UnsubscribeCode, unsubscribes } from "@shardcast/protocol";
import type { ClientDescription } from "../../webhooks/client-events.ts";
import type { CentrifugeSession } from "./centrifuge-session.ts";
import { type Asked, overridden, type ServerSubscription, type ServerSubscriptions } from "./commands/connect/server-subscriptions.ts";
import { expiry } from "./commands/expiry.ts";
import type { ConnectedUsers } from "./connected-users.ts";
import type { Heartbeats } from "./timing/heartbeats.ts";
import { inALaterTurn, waitMsMax } from "./timing/in-a-later-turn.ts";

/** A client whose user is known, whatever its protocol. */
interface UserClient {
	readonly id: string;
	/** See `CentrifugeSession`. */
	readonly connectedAt: number;
	disconnect(code: number, reason: string): void;
}

/** A client of the raw endpoint. */
interface RawUserClient extends UserClient {
	readonly info: Uint8Array | null;
	readonly channels: readonly string[];
	describe(): ClientDescription;
	refresh(expiresAt: number, info: Uint8Array | null): void;
}

export interface UsersParts {
	readonly connected: Pick<ConnectedUsers<CentrifugeSession>, "of">;
	readonly subscriptions: ServerSubscriptions;
	/** Looked up at each use. */
	readonly namespaces: () => Pick<Namespaces, "of">;
	readonly channelLimit: () => number;
	/** The user's clients of the raw endpoint on this shard. */
	readonly rawClients: (user: string) => readonly RawUserClient[];
	readonly heartbeats: Pick<Heartbeats, "refreshed">;
	/** Seconds since 1970. */
	readonly unixTime: () => number;
}

const nobody: Asked = new Map();

/**
 * The backend's operations on a user's connections on this shard: subscribe, unsubscribe, refresh, disconnect. Each returns the number of
 * affected clients.
 */
export class Users {
	readonly #parts: UsersParts;

	constructor(parts: UsersParts) {
		this.#parts = parts;
	}

	answers(parts: PartAnswers): void {
		parts.add(subscribeQuestion, (request) => this.subscribe(request));
		parts.add(unsubscribeQuestion, (request) => this.unsubscribe(request));
		parts.add(disconnectQuestion, (request) => this.disconnect(request));
		parts.add(refreshQuestion, (request) => this.refresh(request));
	}

	/** Existing subscriptions stay as they are. A client with too many channels is closed with 3505. */
	async subscribe({ channel: name, info, data, expireAt, recoverSince, override, ...target }: SubscribeUser): Promise<number> {
		const channel = overridden(this.#parts.namespaces().of(name), override ?? {});
		if (channel.error !== null) return 0;
		const bytes = (json: string | undefined) => (json === undefined ? null : Buffer.from(json));
		const wanted = { channel, info: bytes(info), data: bytes(data), expiresAt: expireAt ?? Number.POSITIVE_INFINITY, traits: 0 };
		const asked = recoverSince === undefined ? nobody : new Map([[name, { recover: true, ...recoverSince }]]);
		const done = await Promise.all(this.#of(target).map((session) => this.#subscribe(session, wanted, asked)));
		return done.filter((each) => each === true).length;
	}

	unsubscribe({ channel, ...target }: UnsubscribeUser): number {
		const sessions = this.#of(target).filter(({ subscriptions }) => subscriptions.has(channel));
		for (const session of sessions) session.endSubscription(channel, unsubscribes[UnsubscribeCode.server]);
		return sessions.length;
	}

	/** Changes expiry and info of the connections, and tells the clients when they expire, except those of the raw endpoint. */
	refresh({ expired, expireAt, info, ...target }: RefreshUser): number {
		const { unixTime, heartbeats } = this.#parts;
		const sessions = this.#of(target);
		const expiresAt = expireAt ?? Number.POSITIVE_INFINITY;
		const left = expired ? null : expiry(expiresAt, unixTime());
		for (const session of sessions) {
			if (left === null) {
				session.close(DisconnectCode.expired);
				continue;
			}
			const { user, meta, token } = session;
			session.identify({ user, meta, token, info: info === undefined ? session.info : Buffer.from(info), expiresAt });
			heartbeats.refreshed(session);
			session.push({ refresh: left });
		}
		const raw = this.#raw(target);
		for (const client of raw) {
			if (left === null) client.disconnect(DisconnectCode.expired, disconnects[DisconnectCode.expired].reason);
			else client.refresh(expiresAt, info === undefined ? client.info : Buffer.from(info));
		}
		return sessions.length + raw.length;
	}

	/** Includes clients of the raw endpoint. */
	disconnect({ code, reason, keep, whitelist, ...target }: DisconnectUser): number {
		const sessions = [...this.#of(target), ...this.#raw(target)].filter(
			({ id, connectedAt }) =>
				(keep === undefined || (id !== keep.client && connectedAt <= keep.since)) && whitelist?.includes(id) !== true,
		);
		for (const session of sessions) session.disconnect(code, reason);
		return sessions.length;
	}

	/** Raw clients have no session ids. */
	#raw({ user, client, session }: UserTarget): readonly RawUserClient[] {
		return session === undefined ? this.#parts.rawClients(user).filter(({ id }) => client === undefined || id === client) : [];
	}

	#of({ user, client, session }: UserTarget): CentrifugeSession[] {
		return this.#parts.connected
			.of(user)
			.filter(
				({ id, sessionId, isGone }) =>
					!isGone && (client === undefined || id === client) && (session === undefined || sessionId === session),
			);
	}

	/** Null = not in time. False = nothing to do. */
	#subscribe(session: CentrifugeSession, wanted: ServerSubscription, asked: Asked): boolean | null | Promise<boolean | null> {
		const { subscriptions, channelLimit } = this.#parts;
		const { name } = wanted.channel;
		const step = (): boolean | null => {
			if (session.isGone || session.subscriptions.has(name)) return false;
			if (session.subscriptions.size >= channelLimit()) {
				session.close(DisconnectCode.channelLimit);
				return false;
			}
			const results = subscriptions.results(session.framing, [wanted], asked);
			if (results === null) return null;
			const { recoverable, epoch, offset, positioned, data, publications = [] } = results.get(name)!;
			session.push({ channel: name, subscribe: { recoverable, epoch, offset, positioned, data } });
			for (const pub of publications) if ("data" in pub) session.push({ channel: name, pub });
			subscriptions.subscribe(session, [wanted], results);
			return true;
		};
		return inALaterTurn(step, waitMsMax, () => subscriptions.waits([wanted]));
	}
}

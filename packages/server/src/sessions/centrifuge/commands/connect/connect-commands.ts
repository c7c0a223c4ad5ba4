import { randomUUID } from "node:crypto";
import { connectDisconnect } from "@shardcast/channels";
import type { Config } from "@shardcast/config";
import {
	type ConnectRequest,
	type ConnectResult,
	DisconnectCode as Disconnect,
	type DisconnectCode,
	ErrorCode,
	type RefreshRequest,
} from "@shardcast/protocol";
import { monotonicMs } from "@shardcast/wire";
import type { Hook } from "../../../../hooks/hook.ts";
import type { ConnectResult as HookResult } from "../../../../hooks/hook-results.ts";
import type { Hooks } from "../../../../hooks/hooks.ts";
import type { UserLimit } from "../../../../limits/user-limit.ts";
import type { CentrifugeSession } from "../../centrifuge-session.ts";
import type { CommandRates } from "../../command-rates.ts";
import type { ConnectedUsers } from "../../connected-users.ts";
import { payloadFor } from "../../framing.ts";
import { type HookCalls, withoutResult } from "../../hooks/hook-calls.ts";
import type { HookRefreshes } from "../../hooks/hook-refreshes.ts";
import type { Heartbeats } from "../../timing/heartbeats.ts";
import { inALaterTurn, waitMsMax } from "../../timing/in-a-later-turn.ts";
import { type ConnectionClaims, verifyConnectionToken } from "../../tokens/connection-token.ts";
import type { TokenId } from "../../tokens/token-id.ts";
import type { TokenVerifier } from "../../tokens/token-verifier.ts";
import { ends, fails, type Outcome, orInternal } from "../commands.ts";
import { expiry } from "../expiry.ts";
import type { ReplyRoom } from "../reply-room.ts";
import { type Asked, hasOtherChannels, type ServerSubscriptions } from "./server-subscriptions.ts";

interface ConnectCommandsParts {
	/** Read at each use. */
	readonly config: () => Pick<
		Config,
		"clientInsecure" | "allowAnonymousConnect" | "disallowAnonymousTokens" | "pingIntervalMs" | "singleConnection"
	>;
	readonly tokens: () => TokenVerifier;
	readonly hooks: Pick<Hooks, "connect" | "withEmulated">;
	readonly calls: Pick<HookCalls, "ask">;
	readonly refreshes: Pick<HookRefreshes, "isOn" | "command">;
	/** Whether the user is blocked. */
	readonly isBlocked: (user: string) => boolean;
	/** Whether this node refuses clients: a connection may be older than that, and who is blocked is not known since then. */
	readonly isCutOff: () => boolean;
	/** Whether a user's token has been revoked in the meantime. */
	readonly isRevoked: (user: string, token: TokenId | null) => boolean;
	readonly subscriptions: ServerSubscriptions;
	/** Memory for long replies: those with missed publications. */
	readonly room: ReplyRoom;
	readonly heartbeats: Pick<Heartbeats, "connected" | "refreshed">;
	readonly connected: Pick<ConnectedUsers<CentrifugeSession>, "add">;
	readonly userLimit: Pick<UserLimit, "admit">;
	readonly rates: Pick<CommandRates, "takeOfUser">;
	/** Closes the other connections of the session's user. */
	readonly onlyOne: (session: CentrifugeSession) => void;
	/** This server's version, sent to clients. */
	readonly version: string;
	/** Names this shard, for clients whose commands arrive in other requests. */
	readonly node: string;
	/** Seconds since 1970. */
	readonly unixTime: () => number;
}

/** Who a client is, according to its token or the connect hook. */
type Credentials = ConnectionClaims | HookResult;

const nobody: Asked = new Map();

/**
 * The commands `connect` and `refresh`, which establish who a client is. They wait for the verification of a token or the answer of a backend,
 * and for memory for a long reply.
 */
export class ConnectCommands {
	readonly #parts: ConnectCommandsParts;

	constructor(parts: ConnectCommandsParts) {
		this.#parts = parts;
	}

	readonly connect = (session: CentrifugeSession, request: ConnectRequest): Outcome | Promise<Outcome> => {
		const { hooks } = this.#parts;
		session.headers = hooks.withEmulated(session.headers, request.headers);
		if (request.token === "") {
			const hook = hooks.connect;
			return hook === null ? this.#withRoom(session, null, request) : this.#byHook(session, hook, request);
		}
		return verifyConnectionToken(this.#parts.tokens(), request.token).then((claims) => {
			if (claims === "expired") return fails(ErrorCode.tokenExpired);
			if (claims === "unavailable") return fails(ErrorCode.internal);
			if (claims === "invalid") return ends(Disconnect.invalidToken);
			return this.#withRoom(session, claims, request);
		});
	};

	readonly refresh = async (session: CentrifugeSession, { token }: RefreshRequest): Promise<Outcome> => {
		if (token === "") return ends(Disconnect.badRequest);
		const byHook = this.#parts.refreshes.command(session);
		if (byHook !== null) return byHook;
		const { tokens, unixTime, heartbeats, version } = this.#parts;
		const claims = await verifyConnectionToken(tokens(), token);
		if (claims === "expired") return ends(Disconnect.expired);
		if (claims === "unavailable") return fails(ErrorCode.internal);
		if (claims === "invalid" || claims.user !== session.user) return ends(Disconnect.invalidToken);
		const left = expiry(this.#expiresAt(claims), unixTime());
		if (left === null) return ends(Disconnect.expired);
		if (session.isGone) return null;
		if (this.#parts.isRevoked(claims.user, claims.token)) return ends(Disconnect.invalidToken);
		// It reconnects at once and gets the channels of its new token.
		if (hasOtherChannels(session, claims)) return ends(Disconnect.insufficientState);
		this.#take(session, claims);
		heartbeats.refreshed(session);
		return { refresh: { client: session.id, version, ...left } };
	};

	/** If the backend returns no result, or the failure is tolerated, the client is treated like one without a token. */
	async #byHook(session: CentrifugeSession, hook: Hook<"connect">, request: ConnectRequest): Promise<Outcome> {
		const { name, version, data, subs } = request;
		session.id = randomUUID();
		const answer = await this.#parts.calls.ask(hook, session, { name, version, channels: [...subs.keys()], data });
		if (answer === "passed") return this.#withRoom(session, null, request);
		if (typeof answer === "string" || !("result" in answer)) return withoutResult(answer);
		return this.#withRoom(session, answer.result, request);
	}

	#withRoom(session: CentrifugeSession, claims: Credentials | null, request: ConnectRequest): Outcome | Promise<Outcome> {
		const { room } = this.#parts;
		if (!room.isFull(session) || !mayRecover(request)) return this.#connect(session, claims, request);
		return room.free(session).then(() => this.#connect(session, claims, request));
	}

	#connect(session: CentrifugeSession, claims: Credentials | null, { subs }: ConnectRequest): Outcome | Promise<Outcome> {
		const { subscriptions, unixTime } = this.#parts;
		const byHook = claims !== null && "data" in claims ? claims : null;
		const refused = byHook === null ? connectDisconnect(claims?.user ?? null, this.#parts.config()) : null;
		if (refused !== null) return ends(refused satisfies DisconnectCode);
		const left = claims === null ? {} : expiry(this.#expiresAt(claims), unixTime());
		if (left === null) return fails(ErrorCode.expired);
		const user = claims?.user ?? "";
		if (user !== "" && this.#parts.isBlocked(user)) return ends(Disconnect.permissionDenied);
		if (!this.#parts.rates.takeOfUser(user, "connect")) return fails(ErrorCode.tooManyRequests);
		// A backend that identifies the client has seen which channels it asks for.
		const wanted = subscriptions.of(claims, byHook === null ? subs : nobody);
		if (!(wanted instanceof Map)) return wanted as Outcome;
		// Missed publications are read, and the client is subscribed, in one step. Everything else arrives in later turns.
		const step = (): Outcome => {
			if (session.isGone) return ends(Disconnect.connectionClosed);
			if (this.#parts.isCutOff()) return fails(ErrorCode.internal);
			// The user may have been blocked while the token was verified, or there may be no token.
			if (user !== "" && this.#parts.isBlocked(user)) return ends(Disconnect.permissionDenied);
			if (this.#parts.isRevoked(user, claims?.token ?? null)) return ends(Disconnect.invalidToken);
			const results = subscriptions.results(session.framing, wanted.values(), subs);
			if (results === null) return null;
			if (!this.#parts.userLimit.admit(session, user)) return ends(Disconnect.connectionLimit);
			this.#connected(session, claims);
			subscriptions.subscribe(session, wanted.values(), results);
			const data = byHook?.data ?? null;
			return {
				connect: {
					...this.#identity(session),
					...(this.#mustRefresh(session) && left),
					...(data !== null && { data: payloadFor(session.framing, data) }),
					...(results.size > 0 && { subs: results }),
				},
			};
		};
		return orInternal(inALaterTurn(step, waitMsMax, () => subscriptions.waits(wanted.values())));
	}

	/** A unidirectional client cannot send another token, and does not need to where a backend is asked. */
	#mustRefresh({ framing }: CentrifugeSession): boolean {
		return !framing.isUni && !this.#parts.refreshes.isOn;
	}

	#connected(session: CentrifugeSession, claims: Credentials | null): void {
		if (session.id === "") session.id = randomUUID();
		session.connectedAt = monotonicMs();
		session.state = "connected";
		if (claims !== null) this.#take(session, claims);
		this.#parts.connected.add(session);
		this.#parts.heartbeats.connected(session);
		if (session.user !== "" && this.#parts.config().singleConnection) this.#parts.onlyOne(session);
	}

	#identity(session: CentrifugeSession): ConnectResult {
		const { version, node } = this.#parts;
		const { id: client, sessionId, framing, framePings } = session;
		const ping = Math.ceil(this.#parts.config().pingIntervalMs / 1000);
		return {
			client,
			version,
			...(!framePings && { ping, ...(!framing.isUni && { pong: true }) }),
			...(sessionId !== "" && { session: sessionId, ...(!framing.isUni && { node }) }),
		};
	}

	#take(session: CentrifugeSession, claims: Credentials): void {
		session.identify({ ...claims, expiresAt: this.#expiresAt(claims) });
	}

	/** In insecure mode tokens are verified, but nothing expires. */
	#expiresAt({ expiresAt }: Credentials): number {
		return this.#parts.config().clientInsecure ? Number.POSITIVE_INFINITY : expiresAt;
	}
}

/** Whether its reply may contain missed publications. */
function mayRecover({ subs }: ConnectRequest): boolean {
	for (const { recover } of subs.values()) if (recover) return true;
	return false;
}

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
import type { CentrifugeSession } from "../centrifuge-session.ts";
import type { Heartbeats } from "../timing/heartbeats.ts";
import { type ConnectionClaims, verifyConnectionToken } from "../tokens/connection-token.ts";
import type { TokenVerifier } from "../tokens/token-verifier.ts";
import { ends, fails, type Outcome } from "./commands.ts";
import { expiry } from "./expiry.ts";

export interface ConnectCommandsParts {
	/** Read at each use. */
	readonly config: () => Pick<Config, "clientInsecure" | "allowAnonymousConnect" | "disallowAnonymousTokens" | "pingIntervalMs">;
	readonly tokens: () => TokenVerifier;
	readonly heartbeats: Pick<Heartbeats, "connected" | "refreshed">;
	/** This server's version, sent to clients. */
	readonly version: string;
	/** Seconds since 1970. */
	readonly unixTime: () => number;
}

/** The commands connect and refresh, which establish who a client is. They wait for nothing but the check of a token. */
export class ConnectCommands {
	readonly #parts: ConnectCommandsParts;

	constructor(parts: ConnectCommandsParts) {
		this.#parts = parts;
	}

	readonly connect = (session: CentrifugeSession, { token }: ConnectRequest): Outcome | Promise<Outcome> => {
		if (token === "") return this.#connected(session, null);
		return verifyConnectionToken(this.#parts.tokens(), token).then((claims) => {
			if (claims === "expired") return fails(ErrorCode.tokenExpired);
			if (claims === "invalid") return ends(Disconnect.invalidToken);
			return session.isGone ? null : this.#connected(session, claims);
		});
	};

	readonly refresh = async (session: CentrifugeSession, { token }: RefreshRequest): Promise<Outcome> => {
		if (token === "") return ends(Disconnect.badRequest);
		const { tokens, unixTime, heartbeats, version } = this.#parts;
		const claims = await verifyConnectionToken(tokens(), token);
		if (claims === "expired") return ends(Disconnect.expired);
		if (claims === "invalid" || claims.user !== session.user) return ends(Disconnect.invalidToken);
		const left = expiry(this.#expiresAt(claims), unixTime());
		if (left === null) return ends(Disconnect.expired);
		if (session.isGone) return null;
		this.#take(session, claims);
		heartbeats.refreshed(session);
		return { refresh: { client: session.id, version, ...left } };
	};

	#connected(session: CentrifugeSession, claims: ConnectionClaims | null): Outcome {
		const { heartbeats, version, unixTime } = this.#parts;
		const config = this.#parts.config();
		const refused = connectDisconnect(claims?.user ?? null, config);
		if (refused !== null) return ends(refused satisfies DisconnectCode);
		const left = claims === null ? {} : expiry(this.#expiresAt(claims), unixTime());
		if (left === null) return fails(ErrorCode.expired);
		session.id = randomUUID();
		session.state = "connected";
		if (claims !== null) this.#take(session, claims);
		heartbeats.connected(session);
		const pings = session.framePings ? {} : { ping: Math.ceil(config.pingIntervalMs / 1000), pong: true };
		const connect: ConnectResult = { client: session.id, version, ...left, ...pings };
		return { connect };
	}

	#take(session: CentrifugeSession, claims: ConnectionClaims): void {
		session.identify({ ...claims, expiresAt: this.#expiresAt(claims) });
	}

	/** In insecure mode tokens are verified, but nothing expires. */
	#expiresAt({ expiresAt }: ConnectionClaims): number {
		return this.#parts.config().clientInsecure ? Number.POSITIVE_INFINITY : expiresAt;
	}
}

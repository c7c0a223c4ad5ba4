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
import { ends, fails, type Outcome } from "./commands.ts";
import type { TokenClaims, TokenVerifier } from "./connection-token.ts";

export interface ConnectCommandsParts {
	/** Looked up at each use. */
	readonly config: () => Pick<Config, "clientInsecure" | "allowAnonymousConnect" | "disallowAnonymousTokens" | "pingIntervalMs">;
	readonly tokens: () => TokenVerifier;
	readonly heartbeats: Pick<Heartbeats, "connected" | "refreshed">;
	/** Of this server, as clients are told it. */
	readonly version: string;
	/** Seconds since 1970. */
	readonly unixTime: () => number;
}

/** Who a client is: connect and refresh. They wait for the check of a token, and for nothing else. */
export class ConnectCommands {
	readonly #parts: ConnectCommandsParts;

	constructor(parts: ConnectCommandsParts) {
		this.#parts = parts;
	}

	readonly connect = (session: CentrifugeSession, { token }: ConnectRequest): Outcome | Promise<Outcome> => {
		if (token === "") return this.#connected(session, null);
		return this.#parts
			.tokens()
			.verify(token)
			.then((verified) => {
				switch (verified) {
					case "expired":
						return fails(ErrorCode.tokenExpired);
					case "invalid":
						return ends(Disconnect.invalidToken);
					default:
						return this.#connected(session, verified);
				}
			});
	};

	readonly refresh = (session: CentrifugeSession, { token }: RefreshRequest): Outcome | Promise<Outcome> => {
		if (token === "") return ends(Disconnect.badRequest);
		return this.#parts
			.tokens()
			.verify(token)
			.then((verified) => {
				switch (verified) {
					case "expired":
						return ends(Disconnect.expired);
					case "invalid":
						return ends(Disconnect.invalidToken);
				}
				if (verified.user !== session.user) return ends(Disconnect.invalidToken);
				this.#take(session, verified);
				this.#parts.heartbeats.refreshed(session);
				return { refresh: { client: session.id, version: this.#parts.version, ...this.#expiry(session) } };
			});
	};

	#connected(session: CentrifugeSession, claims: TokenClaims | null): Outcome {
		const { heartbeats, version } = this.#parts;
		const config = this.#parts.config();
		const refused = connectDisconnect(claims?.user ?? null, config);
		if (refused !== null) return ends(refused satisfies DisconnectCode);
		session.id = randomUUID();
		session.state = "connected";
		if (claims !== null) this.#take(session, claims);
		heartbeats.connected(session);
		const pings = session.framePings ? {} : { ping: Math.ceil(config.pingIntervalMs / 1000), pong: true };
		const connect: ConnectResult = { client: session.id, version, ...this.#expiry(session), ...pings };
		return { connect };
	}

	#take(session: CentrifugeSession, { user, info, expiresAt }: TokenClaims): void {
		session.identify(user, info, expiresAt);
	}

	/** For a client that has to bring another token in time. */
	#expiry({ expiresAt }: CentrifugeSession): { readonly expires?: true; readonly ttl?: number } {
		if (expiresAt === Number.POSITIVE_INFINITY) return {};
		return { expires: true, ttl: Math.max(1, Math.floor(expiresAt - this.#parts.unixTime())) };
	}
}

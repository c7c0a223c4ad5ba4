import { connectDisconnect, type Namespaces, personalChannelOf, publishError, subscribeError } from "@shardcast/channels";
import { authRequired, type Config } from "@shardcast/config";
import { type Reply, refusal } from "@shardcast/http";
import { ErrorCode } from "@shardcast/protocol";
import { type ChannelList, channelList } from "@shardcast/wire";
import { type ConnectionClaims, verifyConnectionToken } from "../centrifuge/tokens/connection-token.ts";
import type { TokenVerifier } from "../centrifuge/tokens/token-verifier.ts";
import type { RawIdentity } from "./raw-identity.ts";

export interface RawAccessParts {
	/** Read at each use. */
	readonly live: {
		readonly config: Config;
		readonly namespaces: Pick<Namespaces, "of" | "mayDrop" | "everybody">;
		/** Clients must authenticate. */
		readonly authRequired: boolean;
	};
	/** Verifies connection tokens. */
	readonly tokens: () => TokenVerifier;
	/** Seconds since 1970. */
	readonly unixTime: () => number;
}

/** What a client of the raw endpoint is permitted. */
export interface RawGrant {
	/** Null = the client has not authenticated. */
	readonly identity: RawIdentity | null;
	readonly channels: ChannelList;
	/** Whether a client without channels gets every record; otherwise it gets only records without channels. */
	readonly receivesAll: boolean;
}

const challenge = { headers: { "WWW-Authenticate": "Bearer" } };

/**
 * Decides who may connect to the raw endpoint, subscribe and publish, by the same tokens and permissions as for clients of the Centrifuge
 * protocol.
 */
export class RawAccess {
	readonly #parts: RawAccessParts;

	constructor(parts: RawAccessParts) {
		this.#parts = parts;
	}

	/** Whether a client is admitted without a check of tokens and permissions. */
	isOpenTo(token: string): boolean {
		return token === "" && !this.#parts.live.authRequired;
	}

	/** Whether clients that are connected without a token have to go when these options are applied: from then on they would not be admitted. */
	expelsAnonymous(config: Config): boolean {
		return authRequired(config) && !this.#parts.live.authRequired && !config.allowAnonymousConnect;
	}

	/** Never rejects. If a token is sent it must be valid, even where none is required. */
	async judge(token: string, asked: ChannelList): Promise<RawGrant | { readonly refused: Reply }> {
		const known = await this.identify(token);
		if ("refused" in known) return known;
		const { identity } = known;
		if (!this.#parts.live.authRequired) return { identity, channels: asked, receivesAll: true };
		const channels = this.#channels(identity, asked);
		return "refused" in channels ? channels : { identity, ...channels, receivesAll: false };
	}

	/** Who the client is, apart from channels; null = it has not authenticated, and need not. Never rejects. */
	async identify(token: string): Promise<{ readonly identity: ConnectionClaims | null } | { readonly refused: Reply }> {
		const claims = token === "" ? null : await this.#verified(token);
		if (claims !== null && "refused" in claims) return claims;
		const { live } = this.#parts;
		const { config } = live;
		if (!live.authRequired) return { identity: claims };
		if (claims === null && !config.allowAnonymousConnect) return unauthorized(needsToken(config.rawTokenCookie));
		if (connectDisconnect(claims?.user ?? null, config) !== null) return forbidden("the token must name a user");
		return { identity: claims };
	}

	/** Whether the client may publish to its channels. @param user "" = anonymous. */
	mayPublish(user: string, { names }: ChannelList): boolean {
		const { config, namespaces } = this.#parts.live;
		if (config.clientPublish === "off") return false;
		// No namespace governs publications without a channel.
		if (names.length === 0) return config.clientPublish === "on";
		const requester = { user, insecure: config.clientInsecure, subscribed: true };
		return names.every((name) => publishError(namespaces.of(name), requester) === null);
	}

	async #verified(token: string): Promise<ConnectionClaims | { readonly refused: Reply }> {
		const claims = await verifyConnectionToken(this.#parts.tokens(), token);
		if (claims === "unavailable") return { refused: refusal("unavailable", "the keys for tokens are not available now; try again") };
		if (claims === "invalid") return unauthorized("the token is invalid; the log of the server says why");
		if (claims === "expired" || claims.expiresAt <= this.#parts.unixTime()) return unauthorized("the token has expired");
		return claims;
	}

	/**
	 * The channels that the client asks for, if it may subscribe to all of them. If it asks for none: those of its token, and its personal
	 * channel.
	 */
	#channels(claims: ConnectionClaims | null, asked: ChannelList): { readonly channels: ChannelList } | { readonly refused: Reply } {
		const { config, namespaces } = this.#parts.live;
		const user = claims?.user ?? "";
		const personal = personalChannelOf(config, user);
		const given = new Set([...(claims?.subscriptions.keys() ?? []), ...(personal === null ? [] : [personal])]);
		for (const name of asked.count === 0 ? given : asked.names) {
			const hasToken = given.has(name);
			const error = subscribeError(namespaces.of(name), { user, insecure: config.clientInsecure, hasToken });
			if (error !== null) return forbidden(`channel ${JSON.stringify(name)}: ${whyNot(error)}`);
		}
		if (asked.count > 0) return { channels: asked };
		try {
			return { channels: channelList([...given]) };
		} catch (error) {
			if (!(error instanceof RangeError)) throw error;
			return forbidden(`the channels of the token: ${error.message}; name some of them in ?channels=`);
		}
	}
}

function whyNot(error: ErrorCode): string {
	if (error === ErrorCode.permissionDenied) return "permission denied";
	if (error === ErrorCode.unknownChannel) return "unknown channel";
	return error === ErrorCode.badRequest ? "this is not the name of a channel" : "not available";
}

/** @param cookie the name of the cookie that may contain the token; "" = none. */
function needsToken(cookie: string): string {
	const ways = ["?token=…", "Authorization: Bearer", ...(cookie === "" ? [] : [`the cookie ${cookie}`])];
	return `this server needs a token: ${ways.slice(0, -1).join(", ")}, or ${ways.at(-1)}`;
}

export const unauthorized = (message: string) => ({ refused: refusal("unauthorized", message, challenge) });
export const forbidden = (message: string) => ({ refused: refusal("forbidden", message) });

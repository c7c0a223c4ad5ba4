import type { Ask, RevocationChange } from "@shardcast/control";
import { disconnectQuestion, refreshQuestion, subscribeQuestion, type UserTarget, unsubscribeQuestion } from "@shardcast/control";
import { DisconnectCode, disconnects } from "@shardcast/protocol";
import { changeRevocation } from "../http/api/revocation-change.ts";
import { infoBytesMax } from "../json/fields.ts";
import { revokedIdLengthMax } from "../sessions/centrifuge/tokens/token-id.ts";
import { checkKeys, describe, userOf } from "./arguments.ts";

export interface SubscribeOptions {
	/** JSON that other clients may see, at most 16 KiB. */
	readonly info?: unknown;
	/** JSON for the client. */
	readonly data?: unknown;
	/** When the subscription ends, in seconds since 1970; default: never. */
	readonly expireAt?: number;
}

export interface RefreshOptions {
	/** Close the connections as expired. */
	readonly expired?: boolean;
	/** When they expire, in seconds since 1970; default: never. */
	readonly expireAt?: number;
	/** JSON that other clients may see, at most 16 KiB; default: as before. */
	readonly info?: unknown;
}

export interface BlockOptions {
	/** When it ends, in seconds since 1970; default: never. Use the time when the last of the tokens expires. */
	readonly expireAt?: number;
}

/**
 * Operations on users and their connections, on all nodes: the same as those of the server API. Those on connections resolve with the number of
 * affected connections; a user without connections is not an error. All reject when a node could not carry them out; they may be retried.
 */
export class Users {
	readonly #ask: Ask;

	constructor(ask: Ask) {
		this.#ask = ask;
	}

	/**
	 * Subscribes the connections; existing subscriptions stay as they are. A channel that cannot exist gets no subscribers: 0.
	 * @throws RangeError when `info` is too long.
	 */
	subscribe(target: UserTarget, channel: string, { info, data, expireAt }: SubscribeOptions = {}): Promise<number> {
		checkInfo(info);
		return this.#ask(subscribeQuestion, {
			...checked(target),
			channel,
			...(info !== undefined && { info: JSON.stringify(info) }),
			...(data !== undefined && { data: JSON.stringify(data) }),
			...(expireAt !== undefined && { expireAt }),
		});
	}

	/** Ends their subscriptions with code 2000: the clients do not resubscribe on their own. */
	unsubscribe(target: UserTarget, channel: string): Promise<number> {
		return this.#ask(unsubscribeQuestion, { ...checked(target), channel });
	}

	/**
	 * Closes the connections.
	 * @param target a user, or one connection of it. @param code 3000 to 4999; clients reconnect unless it is 3500 to 3999 or at least 4500. Default 3503.
	 * @param reason at most 123 bytes.
	 * @throws RangeError for an invalid code or a longer reason.
	 */
	disconnect(target: UserTarget | string, code: number = DisconnectCode.forceNoReconnect, reason?: string): Promise<number> {
		if (!Number.isInteger(code) || code < 3000 || code > 4999) throw new RangeError(`code ${code} is not an integer from 3000 to 4999`);
		const words = reason ?? disconnects[code as DisconnectCode]?.reason ?? "";
		if (Buffer.byteLength(words) > 123) throw new RangeError("a reason has at most 123 bytes");
		return this.#ask(disconnectQuestion, { ...checked(typeof target === "string" ? { user: target } : target), code, reason: words });
	}

	/**
	 * Changes when the connections expire, and their info. Raw clients are not notified.
	 * @throws RangeError when `info` is too long.
	 */
	refresh(target: UserTarget, options: RefreshOptions = {}): Promise<number> {
		checkKeys("refresh", "its options", options, ["expired", "expireAt", "info"] satisfies (keyof RefreshOptions)[]);
		const { expired = false, info } = options;
		checkInfo(info);
		return this.#ask(refreshQuestion, {
			...checked(target),
			expired,
			...timeOf("expireAt", options),
			...(info !== undefined && { info: JSON.stringify(info) }),
		});
	}

	/**
	 * Closes the connections of a user with 3507, and refuses new ones. Resolves when all shards of all nodes do so.
	 * @throws TypeError or RangeError for an invalid argument. Rejects when the list is full or cannot be kept, or a node is not reached; the message
	 * says where it is in force.
	 */
	async blockUser(user: string, options: BlockOptions = {}): Promise<void> {
		await this.#change({ add: { kind: "user", id: userOf(user), ...untilOf("blockUser", options) } });
	}

	/** Lets a blocked user connect again. Throws and rejects like `blockUser`. */
	async unblockUser(user: string): Promise<void> {
		await this.#change({ remove: { kind: "user", id: userOf(user) } });
	}

	/**
	 * Refuses a token, closes the connections that use it with 3500, and ends the subscriptions that use it. Throws and rejects like `blockUser`.
	 * @param id the claim `jti`, 1 to 255 characters.
	 */
	async revokeToken(id: string, options: BlockOptions = {}): Promise<void> {
		if (typeof id !== "string" || id === "") throw new TypeError("revokeToken takes the id (jti) of a token");
		if (id.length > revokedIdLengthMax) throw new RangeError(`the id has more than ${revokedIdLengthMax} characters`);
		await this.#change({ add: { kind: "token", id, ...untilOf("revokeToken", options) } });
	}

	/**
	 * Revokes all tokens of a user that were issued before a time, and those without the claim `iat`. Throws and rejects like `blockUser`.
	 * @param issuedBefore in seconds since 1970.
	 */
	async invalidateUserTokens(user: string, issuedBefore: number, options: BlockOptions = {}): Promise<void> {
		const { before } = timeOf("before", { before: issuedBefore });
		if (before === undefined) throw new TypeError("issuedBefore must be a number of seconds since 1970");
		await this.#change({ add: { kind: "user_tokens", id: userOf(user), before, ...untilOf("invalidateUserTokens", options) } });
	}

	async #change(change: RevocationChange): Promise<void> {
		const problem = await changeRevocation(this.#ask, change);
		if (problem !== null) throw new Error(problem.message);
	}
}

function checkInfo(info: unknown): void {
	if (info !== undefined && Buffer.byteLength(JSON.stringify(info) ?? "") > infoBytesMax)
		throw new RangeError(`info has more than ${infoBytesMax} bytes`);
}

function untilOf(what: string, options: BlockOptions): { readonly until?: number } {
	checkKeys(what, "its options", options, ["expireAt"] satisfies (keyof BlockOptions)[]);
	const { expireAt } = timeOf("expireAt", options);
	return expireAt === undefined || expireAt === 0 ? {} : { until: expireAt };
}

/** The time with this name, if it is given. @throws TypeError when it is not a number of seconds. */
function timeOf<Name extends string>(name: Name, given: { readonly [Key in Name]?: unknown }): { readonly [Key in Name]?: number } {
	const time = given[name];
	if (time === undefined) return {};
	if (typeof time !== "number" || !Number.isFinite(time) || time < 0)
		throw new TypeError(`${name} must be a number of seconds since 1970, not ${typeof time === "number" ? time : describe(time)}`);
	return { [name]: time } as { readonly [Key in Name]?: number };
}

function checked({ user, client }: UserTarget): UserTarget {
	if (typeof user !== "string" || user === "") throw new TypeError('a target needs a user, such as { user: "42" }');
	return { user, ...(client !== undefined && { client }) };
}

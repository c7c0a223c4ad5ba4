import type { Ask } from "@shardcast/control";
import { disconnectQuestion, subscribeQuestion, type UserTarget, unsubscribeQuestion } from "@shardcast/control";
import { DisconnectCode, disconnects } from "@shardcast/protocol";
import { infoBytesMax } from "../json/fields.ts";

export interface SubscribeOptions {
	/** JSON for other clients to see, at most 16 KiB. */
	readonly info?: unknown;
	/** JSON for the client. */
	readonly data?: unknown;
	/** When the subscription ends, in seconds since 1970; never if not given. */
	readonly expireAt?: number;
}

/**
 * Orders about the connections of a user, by the Centrifuge protocol. Each resolves with the number of connections to which it was done; a user
 * without connections is no error. Rejects when the server has not carried it out; it may be given again.
 */
export class Users {
	readonly #ask: Ask;

	constructor(ask: Ask) {
		this.#ask = ask;
	}

	/**
	 * Subscribes them; those that are subscribed already stay as they are. A channel that cannot exist has no subscribers: 0.
	 * @throws RangeError for longer information.
	 */
	subscribe(target: UserTarget, channel: string, { info, data, expireAt }: SubscribeOptions = {}): Promise<number> {
		if (info !== undefined && Buffer.byteLength(JSON.stringify(info) ?? "") > infoBytesMax)
			throw new RangeError(`info has more than ${infoBytesMax} bytes`);
		return this.#ask(subscribeQuestion, {
			...checked(target),
			channel,
			...(info !== undefined && { info: JSON.stringify(info) }),
			...(data !== undefined && { data: JSON.stringify(data) }),
			...(expireAt !== undefined && { expireAt }),
		});
	}

	/** Ends their subscription, with code 2000: they do not subscribe again by themselves. */
	unsubscribe(target: UserTarget, channel: string): Promise<number> {
		return this.#ask(unsubscribeQuestion, { ...checked(target), channel });
	}

	/**
	 * Closes them.
	 * @param code 3000 to 4999; clients come back unless it is 3500 to 3999 or from 4500 on. 3503 if not given.
	 * @param reason at most 123 bytes.
	 * @throws RangeError for another code or a longer reason.
	 */
	disconnect(target: UserTarget, code: number = DisconnectCode.forceNoReconnect, reason?: string): Promise<number> {
		if (!Number.isInteger(code) || code < 3000 || code > 4999) throw new RangeError(`code ${code} is no whole number from 3000 to 4999`);
		const words = reason ?? disconnects[code as DisconnectCode]?.reason ?? "";
		if (Buffer.byteLength(words) > 123) throw new RangeError("a reason has at most 123 bytes");
		return this.#ask(disconnectQuestion, { ...checked(target), code, reason: words });
	}
}

function checked({ user, client }: UserTarget): UserTarget {
	if (typeof user !== "string" || user === "") throw new TypeError('a target needs a user, such as { user: "42" }');
	return { user, ...(client !== undefined && { client }) };
}

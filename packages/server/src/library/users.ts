import type { Ask } from "@shardcast/control";
import { disconnectQuestion, subscribeQuestion, type UserTarget, unsubscribeQuestion } from "@shardcast/control";
import { DisconnectCode, disconnects } from "@shardcast/protocol";
import { infoBytesMax } from "../json/fields.ts";

export interface SubscribeOptions {
	/** JSON that other clients may see, at most 16 KiB. */
	readonly info?: unknown;
	/** JSON for the client. */
	readonly data?: unknown;
	/** When the subscription ends, in seconds since 1970; default: never. */
	readonly expireAt?: number;
}

/**
 * Operations on the connections of a user, for clients of the Centrifuge protocol. Each resolves with the number of affected connections; a user
 * without connections is not an error. Rejects when the server could not carry it out; it may be retried.
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

	/** Ends their subscriptions with code 2000: the clients do not resubscribe on their own. */
	unsubscribe(target: UserTarget, channel: string): Promise<number> {
		return this.#ask(unsubscribeQuestion, { ...checked(target), channel });
	}

	/**
	 * Closes the connections.
	 * @param code 3000 to 4999; clients reconnect unless it is 3500 to 3999 or at least 4500. Default 3503.
	 * @param reason at most 123 bytes.
	 * @throws RangeError for an invalid code or a longer reason.
	 */
	disconnect(target: UserTarget, code: number = DisconnectCode.forceNoReconnect, reason?: string): Promise<number> {
		if (!Number.isInteger(code) || code < 3000 || code > 4999) throw new RangeError(`code ${code} is not an integer from 3000 to 4999`);
		const words = reason ?? disconnects[code as DisconnectCode]?.reason ?? "";
		if (Buffer.byteLength(words) > 123) throw new RangeError("a reason has at most 123 bytes");
		return this.#ask(disconnectQuestion, { ...checked(target), code, reason: words });
	}
}

function checked({ user, client }: UserTarget): UserTarget {
	if (typeof user !== "string" || user === "") throw new TypeError('a target needs a user, such as { user: "42" }');
	return { user, ...(client !== undefined && { client }) };
}

import { type AddressKey, addressMapKey } from "@shardcast/service";

/** Addresses remembered at once; a connection beyond is taken for one that came to the own port. */
const addressesMax = 20_000;

/**
 * Tells connections that the balancer has let in, and handed over, from those that come to the shard's own port: uWebSockets.js gives a
 * request no mark of its connection, so what is handed over is a credit of its address, which its first request redeems. That lies in the
 * socket already, so credits are short-lived: `age` forgets those that nobody has redeemed.
 *
 * One owner, the shard's loop. Used only while there is a limit for the own port.
 */
export class HandedOver {
	#credits = new Map<string, number>();
	#before = new Map<string, number>();

	arrived(address: AddressKey): void {
		if (this.#credits.size >= addressesMax) return;
		const key = addressMapKey(address);
		this.#credits.set(key, (this.#credits.get(key) ?? 0) + 1);
	}

	/** Whether a connection of this address has been handed over and not redeemed yet. */
	redeem(address: AddressKey): boolean {
		const key = addressMapKey(address);
		return take(this.#before, key) || take(this.#credits, key);
	}

	/** About once a second. */
	age(): void {
		if (this.#credits.size === 0 && this.#before.size === 0) return;
		this.#before = this.#credits;
		this.#credits = new Map();
	}
}

function take(credits: Map<string, number>, key: string): boolean {
	const count = credits.get(key);
	if (count === undefined) return false;
	if (count === 1) credits.delete(key);
	else credits.set(key, count - 1);
	return true;
}

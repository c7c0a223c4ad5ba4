import { addressBytes } from "@shardcast/config";

interface FailureLimitOptions {
	/** Failures of one address within `windowMs` after which it has to wait. */
	readonly failuresMax: number;
	readonly windowMs: number;
	/** Most addresses that are remembered; a new one replaces the oldest. */
	readonly addressesMax: number;
}

interface Failures {
	count: number;
	/** When the first of them was. */
	readonly sinceMs: number;
}

/**
 * Limits how often an address may show a wrong key. Counts failures only, so whoever has the key is never slowed down, unless somebody at the same address
 * guesses. One owner. Bound: `addressesMax`.
 */
export class FailureLimit {
	readonly #options: FailureLimitOptions;
	/** Oldest first. */
	readonly #addresses = new Map<string, Failures>();

	constructor(options: FailureLimitOptions) {
		this.#options = options;
	}

	/** Milliseconds until this address may try again; 0 = now. */
	waitMs(address: string, nowMs: number): number {
		const { failuresMax, windowMs } = this.#options;
		const found = this.#addresses.get(keyOf(address));
		if (found === undefined || found.count < failuresMax) return 0;
		return Math.max(0, found.sinceMs + windowMs - nowMs);
	}

	failed(address: string, nowMs: number): void {
		const { windowMs, addressesMax } = this.#options;
		const key = keyOf(address);
		const found = this.#addresses.get(key);
		if (found !== undefined && nowMs - found.sinceMs < windowMs) {
			found.count++;
			return;
		}
		// Again at the end, since it is the newest now.
		this.#addresses.delete(key);
		if (this.#addresses.size >= addressesMax) this.#addresses.delete(this.#addresses.keys().next().value!);
		this.#addresses.set(key, { count: 1, sinceMs: nowMs });
	}
}

/** An IPv4 address, or the first half of an IPv6 address: one customer has all addresses of a /64. */
function keyOf(address: string): string {
	const bytes = Buffer.from(addressBytes(address));
	const isMapped = bytes.length === 16 && bytes.readBigUInt64BE(0) === 0n && bytes.readUInt32BE(8) === 0xffff;
	return (isMapped ? bytes.subarray(12) : bytes.subarray(0, 8)).toString("hex");
}

import type { Config } from "../config/options.ts";
import { RateLimit, TokenBucket } from "../rate-limit.ts";
import { type AddressKey, addressMapKey } from "./address-key.ts";

export type ConnectionRateSettings = Pick<Config, "connectionRate" | "connectionRatePerIp">;

/** Why a connection is not taken: the code in the answer's body. */
export type ConnectionRateRefusal = "connection_rate" | "connection_rate_per_ip";

/** Addresses that are remembered; a bucket that has been left alone for a second is as good as none. */
const addressesMax = 20_000;

/**
 * How many new WebSockets one door takes per second, from all and from each address: `--connection-rate`, `--connection-rate-per-ip`.
 * The door is the balancer's port, or a shard's own.
 *
 * One owner. Constant time per connection; nothing is kept, and no address looked up, while both are off.
 */
export class ConnectionRates {
	#perSecond = 0;
	#all: TokenBucket | null = null;
	readonly #perAddress = new RateLimit<string>(0, addressesMax);

	constructor(settings: ConnectionRateSettings) {
		this.change(settings);
	}

	change({ connectionRate, connectionRatePerIp }: ConnectionRateSettings): void {
		this.#perSecond = connectionRate;
		if (connectionRate === 0) this.#all = null;
		this.#perAddress.perSecond = connectionRatePerIp;
	}

	get isOff(): boolean {
		return this.#perSecond === 0 && this.#perAddress.isOff;
	}

	/** Addresses that were forgotten for others before their buckets were full again. */
	get forgotten(): number {
		return this.#perAddress.forgotten;
	}

	/** Takes one connection, or says why not. The address comes first, so that one that is above its share takes nothing from all others. */
	take(address: AddressKey, nowMs: number): ConnectionRateRefusal | null {
		if (!this.#perAddress.take(addressMapKey(address), nowMs)) return "connection_rate_per_ip";
		if (this.#perSecond === 0) return null;
		this.#all ??= new TokenBucket(this.#perSecond, nowMs);
		return this.#all.take(this.#perSecond, nowMs) ? null : "connection_rate";
	}
}

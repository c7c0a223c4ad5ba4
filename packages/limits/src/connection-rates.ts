import type { Config } from "@shardcast/config";
import type { AddressKey } from "./address-key.ts";
import { RateKind, type RateTable } from "./rate-table.ts";

export type ConnectionRateConfig = Pick<Config, "connectionRate" | "connectionRatePerIp">;

/** Why a connection is not taken: the code in the answer's body. */
export type ConnectionRateRefusal = "connection_rate" | "connection_rate_per_ip";

/**
 * How many new WebSockets a cluster takes per second, from all and from each address: `--connection-rate`, `--connection-rate-per-ip`.
 *
 * The shard that is about to upgrade a connection takes it, since only there it is certain that there will be a WebSocket, whichever
 * port and whichever request of a connection it came by. The balancer only looks, to turn a storm away before it reaches the shards.
 *
 * One instance per process, over one table. Constant time per connection; no address is looked up while both are off. Times are
 * `monotonicMs()`.
 */
export class ConnectionRates {
	readonly #table: RateTable;
	#perSecond = 0;
	#perAddress = 0;

	constructor(options: ConnectionRateConfig, table: RateTable) {
		this.#table = table;
		this.change(options);
	}

	change({ connectionRate, connectionRatePerIp }: ConnectionRateConfig): void {
		this.#perSecond = connectionRate;
		this.#perAddress = connectionRatePerIp;
	}

	get isOff(): boolean {
		return this.#perSecond === 0 && this.#perAddress === 0;
	}

	/** Why `take` would refuse a connection now; null when it would not. */
	check(address: AddressKey, nowMs: number): ConnectionRateRefusal | null {
		if (this.#perAddress > 0 && !this.#table.has(RateKind.connections, address, this.#perAddress, nowMs)) return "connection_rate_per_ip";
		return this.#perSecond === 0 || this.#table.hasForAll(this.#perSecond, nowMs) ? null : "connection_rate";
	}

	/** Takes one connection, or says why not. The address comes first, so that one that is above its share takes nothing from all others. */
	take(address: AddressKey, nowMs: number): ConnectionRateRefusal | null {
		if (this.#perAddress > 0 && !this.#table.take(RateKind.connections, address, this.#perAddress, nowMs)) return "connection_rate_per_ip";
		return this.#perSecond === 0 || this.#table.takeFromAll(this.#perSecond, nowMs) ? null : "connection_rate";
	}
}

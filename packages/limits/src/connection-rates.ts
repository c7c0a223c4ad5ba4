import type { Config } from "@shardcast/config";
import type { AddressKey } from "./address-key.ts";
import { RateKind, type RateTable } from "./rate-table.ts";

export type ConnectionRateConfig = Pick<Config, "connectionRate" | "connectionRatePerIp">;

/** Why a connection is refused: the code in the response body. */
export type ConnectionRateRefusal = "connection_rate" | "connection_rate_per_ip";

/**
 * Limits the new WebSockets per second of a cluster, in total and for each address: `--connection-rate`, `--connection-rate-per-ip`.
 *
 * The shard counts a connection just before the upgrade, because only then it is certain to become a WebSocket, whatever the port and the
 * request. The balancer only checks, to refuse a storm before it reaches the shards.
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

	/** Counts one connection, or says why it is refused. The address is checked first, so that one above its limit uses nothing of the total. */
	take(address: AddressKey, nowMs: number): ConnectionRateRefusal | null {
		if (this.#perAddress > 0 && !this.#table.take(RateKind.connections, address, this.#perAddress, nowMs)) return "connection_rate_per_ip";
		return this.#perSecond === 0 || this.#table.takeFromAll(this.#perSecond, nowMs) ? null : "connection_rate";
	}
}

import type { AddressTable, ShardCounter } from "@shardcast/bus";
import { type AddressKey, addressKeyOf, type Config, type ConnectionLimit, ConnectionRates, type LimitAudit } from "@shardcast/service";
import { addressOf, type Client } from "./client.ts";
import type { Counters } from "./counters.ts";
import { HandedOver } from "./handed-over.ts";

type AdmissionSettings = Pick<Config, "connectionRate" | "connectionRatePerIp" | "maxConnectionsPerIp">;

export interface AdmissionParts {
	readonly config: AdmissionSettings;
	readonly slot: number;
	/** Opened when the limit per address is first in force. */
	readonly openAddresses: () => AddressTable;
	readonly audit: Pick<LimitAudit, "refused">;
	readonly counters: Counters;
	readonly nowMs: () => number;
}

const counterOf = {
	connection_rate: "refusedRate",
	connection_rate_per_ip: "refusedRatePerIp",
	connections_per_ip: "refusedPerIp",
} as const satisfies Readonly<Record<ConnectionLimit, ShardCounter>>;

/** The place of a client that is not counted. */
export const noSeat = -1;

/**
 * Limits on who may connect, looked at before an upgrade: how many WebSockets an address has, over all shards, and how fast new ones
 * come to this shard's own port. Those that the balancer has let in have met its rates already.
 *
 * One owner, the shard's loop. While all limits are off no address is looked at.
 */
export class Admission {
	readonly #parts: AdmissionParts;
	readonly #rates: ConnectionRates;
	readonly #handedOver = new HandedOver();
	#addresses: AddressTable | null = null;
	#perAddressMax = 0;
	#forgotten = 0;

	constructor(parts: AdmissionParts) {
		this.#parts = parts;
		this.#rates = new ConnectionRates(parts.config);
		this.change(parts.config, []);
	}

	/** @param clients all that are here, to be counted when the limit per address is switched on. */
	change(config: AdmissionSettings, clients: readonly Client[]): void {
		this.#rates.change(config);
		this.#perAddressMax = config.maxConnectionsPerIp;
		if (this.#perAddressMax === 0) return;
		this.#addresses ??= this.#parts.openAddresses();
		for (const client of clients) if (client.seat === noSeat) client.seat = this.#enter(this.#addresses, addressKeyOf(addressOf(client)));
	}

	get isOff(): boolean {
		return this.#rates.isOff && this.#perAddressMax === 0;
	}

	/** Connections that are handed over must be told of. */
	get tellsOwnPort(): boolean {
		return !this.#rates.isOff;
	}

	handedOver(address: AddressKey): void {
		this.#handedOver.arrived(address);
	}

	/** A request that asks for no WebSocket has come. */
	requested(address: AddressKey): void {
		this.#handedOver.redeem(address);
	}

	/**
	 * Lets a new WebSocket in, or says why not.
	 * @param proxied it came through the balancer, which copies its bytes.
	 * @returns its seat, to be given back by `left`.
	 */
	admit(address: AddressKey, proxied: boolean): number | ConnectionLimit {
		if (!this.#rates.isOff && !proxied && !this.#handedOver.redeem(address)) {
			const limit = this.#rates.take(address, this.#parts.nowMs());
			if (limit !== null) return this.#refused(limit, address);
		}
		if (this.#perAddressMax === 0 || this.#addresses === null) return noSeat;
		// Counted before the others are looked at, which do the same: so no two let in the last one.
		const seat = this.#enter(this.#addresses, address);
		if (seat === noSeat || this.#addresses.total(address) <= this.#perAddressMax) return seat;
		this.#addresses.leave(seat);
		return this.#refused("connections_per_ip", address);
	}

	left(seat: number): void {
		this.#addresses?.leave(seat);
	}

	/** About once a second. */
	tick(): void {
		this.#handedOver.age();
		const { forgotten } = this.#rates;
		if (forgotten > this.#forgotten) this.#parts.counters.add("addressesForgotten", forgotten - this.#forgotten);
		this.#forgotten = forgotten;
	}

	#enter(addresses: AddressTable, address: AddressKey): number {
		const seat = addresses.enter(this.#parts.slot, address);
		if (seat === noSeat) this.#parts.counters.add("addressesUncounted", 1);
		return seat;
	}

	#refused(limit: ConnectionLimit, address: AddressKey): ConnectionLimit {
		this.#parts.counters.add(counterOf[limit], 1);
		this.#parts.audit.refused(limit, address);
		return limit;
	}
}

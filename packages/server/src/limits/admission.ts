import type { Config } from "@shardcast/config";
import type { AddressTable } from "@shardcast/limits";
import { type AddressKey, addressKeyOf, type ConnectionLimit, ConnectionRates, type LimitAudit, type RateTable } from "@shardcast/limits";
import type { Counters, ShardCounter } from "@shardcast/scoreboard";
import type { Commit } from "../lifecycle/feature.ts";
import type { ClientSession } from "../sessions/client-session.ts";

type AdmissionConfig = Pick<Config, "connectionRate" | "connectionRatePerIp" | "maxConnectionsPerIp">;

interface AdmissionParts {
	readonly config: AdmissionConfig;
	readonly slot: number;
	readonly rates: RateTable;
	/** Opened when the limit per address is first in force. */
	readonly openAddresses: () => AddressTable;
	readonly audit: Pick<LimitAudit, "refused">;
	readonly counters: Counters;
	/** `monotonicMs`. */
	readonly nowMs: () => number;
}

const counterOf = {
	connection_rate: "refusedRate",
	connection_rate_per_ip: "refusedRatePerIp",
	connections_per_ip: "refusedPerIp",
} as const satisfies Readonly<Record<ConnectionLimit, ShardCounter>>;

/** The place of a client that is not counted. */
export const noAddressSlot = -1;

/**
 * Limits on connecting, checked before an upgrade: how many WebSockets an address has, and how fast new ones come, over all
 * shards. Here they hold for certain: whatever way a connection took, and however many requests it has carried, it becomes a WebSocket
 * in a shard.
 *
 * One owner, the shard's loop. While all limits are off no address is looked at.
 */
export class Admission {
	readonly #parts: AdmissionParts;
	readonly #rates: ConnectionRates;
	#addresses: AddressTable | null = null;
	#perAddressMax = 0;
	#forgotten = 0;

	constructor(parts: AdmissionParts) {
		this.#parts = parts;
		this.#rates = new ConnectionRates(parts.config, parts.rates);
		this.prepare(parts.config, () => [])();
	}

	/**
	 * As `Feature.reload`. A table that was opened stays open, whether it is used or not.
	 * @param clients all that are here, to be counted when the limit per address is switched on.
	 * @throws when the table of addresses cannot be opened.
	 */
	prepare(config: AdmissionConfig, clients: () => readonly ClientSession[]): Commit {
		if (config.maxConnectionsPerIp > 0) this.#addresses ??= this.#parts.openAddresses();
		return () => {
			this.#rates.change(config);
			this.#perAddressMax = config.maxConnectionsPerIp;
			if (this.#perAddressMax === 0 || this.#addresses === null) return;
			for (const client of clients())
				if (client.addressSlot === noAddressSlot) client.addressSlot = this.#enter(this.#addresses, addressKeyOf(client.address));
		};
	}

	get isOff(): boolean {
		return this.#rates.isOff && this.#perAddressMax === 0;
	}

	/** Takes one new WebSocket from the rates; the limit that it is above, or null. */
	overRate(address: AddressKey): ConnectionLimit | null {
		const limit = this.#rates.take(address, this.#parts.nowMs());
		return limit === null ? null : this.#refused(limit, address);
	}

	/**
	 * Lets a new WebSocket in, or says why not.
	 * @returns its slot, to be given back by `left`.
	 */
	admit(address: AddressKey): number | ConnectionLimit {
		const limit = this.overRate(address);
		if (limit !== null) return limit;
		if (this.#perAddressMax === 0 || this.#addresses === null) return noAddressSlot;
		// Counted before the others are looked at, which do the same: so no two let in the last one.
		const addressSlot = this.#enter(this.#addresses, address);
		if (addressSlot === noAddressSlot || this.#addresses.total(address) <= this.#perAddressMax) return addressSlot;
		this.#addresses.leave(addressSlot);
		return this.#refused("connections_per_ip", address);
	}

	left(addressSlot: number): void {
		this.#addresses?.leave(addressSlot);
	}

	/** About once a second. */
	tick(): void {
		const { forgotten } = this.#parts.rates;
		if (forgotten > this.#forgotten) this.#parts.counters.add("addressesForgotten", forgotten - this.#forgotten);
		this.#forgotten = forgotten;
	}

	#enter(addresses: AddressTable, address: AddressKey): number {
		const addressSlot = addresses.enter(this.#parts.slot, address);
		if (addressSlot === noAddressSlot) this.#parts.counters.add("addressesUncounted", 1);
		return addressSlot;
	}

	#refused(limit: ConnectionLimit, address: AddressKey): ConnectionLimit {
		this.#parts.counters.add(counterOf[limit], 1);
		this.#parts.audit.refused(limit, address);
		return limit;
	}
}

import type { Config } from "@shardcast/config";
import type { AddressTable } from "@shardcast/limits";
import { type AddressKey, addressKeyOf, type ConnectionLimit, ConnectionRates, type LimitAudit, type RateTable } from "@shardcast/limits";
import type { Counters, ShardCounter } from "@shardcast/scoreboard";
import type { Commit } from "../lifecycle/feature.ts";

type AdmissionConfig = Pick<Config, "connectionRate" | "connectionRatePerIp" | "maxConnectionsPerIp">;

interface AdmissionParts {
	readonly config: AdmissionConfig;
	readonly slot: number;
	readonly rates: RateTable;
	/** Opened when the limit per address is first enabled. */
	readonly openAddresses: () => AddressTable;
	readonly audit: Pick<LimitAudit, "refused">;
	readonly counters: Counters;
	/** See `monotonicMs`. */
	readonly nowMs: () => number;
}

const counterOf = {
	connection_rate: "refusedRate",
	connection_rate_per_ip: "refusedRatePerIp",
	connections_per_ip: "refusedPerIp",
} as const satisfies Readonly<Record<ConnectionLimit, ShardCounter>>;

/** A connected client of any protocol. */
export interface AdmittedClient {
	readonly address: string;
	/** Where it is counted by its address. */
	addressSlot: number;
}

/** The slot of a client that is not counted. */
export const noAddressSlot = -1;

/**
 * Limits on connecting, checked before an upgrade: how many WebSockets an address may have, and how fast new ones may arrive, over all shards.
 * They are enforced here because every connection, whatever its path and its earlier requests, becomes a WebSocket in a shard.
 *
 * Owned by the shard's loop. While all limits are off, no address is looked up.
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
	 * See `Feature.reload`. A table stays open once it was opened.
	 * @param clients all connected clients, to be counted when the limit per address is enabled.
	 * @throws Error when the table of addresses cannot be opened.
	 */
	prepare(config: AdmissionConfig, clients: () => readonly AdmittedClient[]): Commit {
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

	/** Takes a new WebSocket from the rates. Returns the exceeded limit, or null. */
	overRate(address: AddressKey): ConnectionLimit | null {
		const limit = this.#rates.take(address, this.#parts.nowMs());
		return limit === null ? null : this.#refused(limit, address);
	}

	/**
	 * Admits a new WebSocket, or returns the exceeded limit.
	 * @returns its slot, to be released by `left`.
	 */
	admit(address: AddressKey): number | ConnectionLimit {
		const limit = this.overRate(address);
		if (limit !== null) return limit;
		if (this.#perAddressMax === 0 || this.#addresses === null) return noAddressSlot;
		// Counts itself before it reads the other counts, as the other shards do, so that no two shards admit the last one.
		const addressSlot = this.#enter(this.#addresses, address);
		if (addressSlot === noAddressSlot || this.#addresses.total(address) <= this.#perAddressMax) return addressSlot;
		this.#addresses.leave(addressSlot);
		return this.#refused("connections_per_ip", address);
	}

	left(addressSlot: number): void {
		this.#addresses?.leave(addressSlot);
	}

	/** Must be called about once a second. */
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

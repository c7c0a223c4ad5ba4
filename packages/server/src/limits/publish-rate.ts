import { addressKeyOf, RateKind, type RateTable } from "@shardcast/limits";

/**
 * `--message-rate` for publishers over HTTP: so many per second and address (IPv6: /64), all shards together. While it is 0, no address
 * is asked for: the library would ask the kernel.
 */
export class PublishRate {
	readonly #table: RateTable;
	/** Holds from the next take on. */
	perSecond: number;

	constructor(table: RateTable, perSecond: number) {
		this.#table = table;
		this.perSecond = perSecond;
	}

	/** @param nowMs `monotonicMs()`. @returns false when this address has had its messages for now. */
	take(from: { readonly address: string }, nowMs: number): boolean {
		return this.perSecond === 0 || this.#table.take(RateKind.publishes, addressKeyOf(from.address), this.perSecond, nowMs);
	}
}

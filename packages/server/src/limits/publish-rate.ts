import { addressKeyOf, RateKind, type RateTable } from "@shardcast/limits";

/**
 * `--message-rate` for publishers over HTTP: messages per second and address (IPv6: /64), over all shards. While it is 0, the address is not
 * read, since the library would have to ask the kernel.
 */
export class PublishRate {
	readonly #table: RateTable;
	/** Applies from the next `take` on. */
	perSecond: number;

	constructor(table: RateTable, perSecond: number) {
		this.#table = table;
		this.perSecond = perSecond;
	}

	/** @param nowMs `monotonicMs()`. @returns false when the address has reached the rate. */
	take(from: { readonly address: string }, nowMs: number): boolean {
		return this.perSecond === 0 || this.#table.take(RateKind.publishes, addressKeyOf(from.address), this.perSecond, nowMs);
	}
}

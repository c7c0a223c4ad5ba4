import type { RecordHead } from "@shardcast/wire";
import type { Audience, AudienceProvider } from "./audience.ts";

/**
 * Which clients get a record, over all kinds of sessions: asks each provider in the given order. One owner, the shard's loop.
 *
 * Cost of `select`: one call for each provider, no allocation. The call sees as many classes as there are providers, which V8 keeps apart
 * inline up to four.
 */
export class Hub {
	readonly #providers: readonly AudienceProvider[];
	readonly #audiences: Audience[] = [];

	constructor(providers: readonly AudienceProvider[]) {
		this.#providers = providers;
	}

	/** The audiences of a record, valid until the next call. */
	select(u8: Uint8Array, view: DataView, head: RecordHead): readonly Audience[] {
		const audiences = this.#audiences;
		// Setting the length to 0 would give the array's memory away, and the next push ask for new: garbage for every record.
		while (audiences.length > 0) audiences.pop();
		for (const provider of this.#providers) provider.select(u8, view, head, audiences);
		return audiences;
	}

	/** Clients that get a message of this channel; "" = one to everybody. */
	reach(channel: string): number {
		let clients = 0;
		for (const provider of this.#providers) clients += provider.reach(channel);
		return clients;
	}
}

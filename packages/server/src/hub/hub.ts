import type { RecordHead } from "@shardcast/wire";
import { hasTopics, type Transport } from "../transports/transport.ts";
import type { Audience, AudienceProvider } from "./audience.ts";

/**
 * Knows which clients get a record, over all kinds of sessions. A session gets audiences from its provider and subscribes clients to them here. Owned
 * by the shard's loop.
 *
 * `select` makes one call per provider that has clients, and does not allocate. V8 inlines the call for up to four different classes.
 */
export class Hub {
	readonly #providers: AudienceProvider[] = [];
	readonly #audiences: Audience[] = [];
	readonly #forJoins: AudienceProvider[] = [];

	/** Adds a provider, which is called for each record, in order of addition. */
	add(provider: AudienceProvider): void {
		this.#providers.push(provider);
	}

	/** Adds a provider that is called only for join and leave records. */
	addForJoins(provider: AudienceProvider): void {
		this.#forJoins.push(provider);
	}

	/** Adds a client to an audience. It must be open and not in the audience. */
	subscribe(client: Transport, audience: Audience): void {
		audience.provider.subscriptions++;
		// Count all before anything can fail: `forget` removes the client from all.
		for (let each: Audience | null = audience; each !== null; each = each.wider) each.add(client);
		if (!hasTopics(client)) return;
		for (let each: Audience | null = audience; each !== null; each = each.wider) client.subscribe(each.topic);
	}

	/** Removes a client from an audience. It must be open and in the audience. */
	unsubscribe(client: Transport, audience: Audience): void {
		if (hasTopics(client)) for (let each: Audience | null = audience; each !== null; each = each.wider) client.unsubscribe(each.topic);
		this.forget(client, audience);
	}

	/**
	 * Moves a client to another transport or audience in one step, so that it misses nothing and gets nothing twice. It joins the new one before it leaves
	 * the old one, since uWebSockets.js discards what waits for a client without topics.
	 */
	move(from: Transport, audience: Audience, to: Transport, into: Audience = audience): void {
		this.subscribe(to, into);
		this.unsubscribe(from, audience);
	}

	/** Like `unsubscribe`, for a client whose connection, and so its topics, are gone. */
	forget(client: Transport, audience: Audience): void {
		audience.provider.subscriptions--;
		for (let each: Audience | null = audience; each !== null; each = each.wider) {
			each.remove(client);
			if (each.clients === 0) each.provider.emptied(each);
		}
	}

	/** The audiences of a record, valid until the next call. */
	select(u8: Uint8Array, view: DataView, head: RecordHead): readonly Audience[] {
		const audiences = this.#audiences;
		// Setting the length to 0 would free the array's memory, and the next push would allocate: garbage for every record.
		while (audiences.length > 0) audiences.pop();
		const providers = this.#providers;
		for (let index = 0; index < providers.length; index++) {
			const provider = providers[index]!;
			if (provider.subscriptions > 0) provider.select(u8, view, head, audiences);
		}
		return audiences;
	}

	/** The audiences of a join or leave record. */
	selectForJoins(u8: Uint8Array, view: DataView, head: RecordHead): readonly Audience[] {
		const audiences: Audience[] = [];
		for (const provider of this.#forJoins) provider.select(u8, view, head, audiences);
		return audiences;
	}

	/** Whether any client may have a position in this channel. */
	mayHavePositions(channel: string): boolean {
		return this.#providers.some((provider) => provider.holdsPositions === true && provider.reach(channel) > 0);
	}

	/** Number of clients that get a message of this channel; "" = to everybody. */
	reach(channel: string): number {
		let clients = 0;
		for (const provider of this.#providers) clients += provider.reach(channel);
		return clients;
	}
}

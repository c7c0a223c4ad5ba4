import type { RecordHead } from "@shardcast/wire";
import { hasTopics, type Transport } from "../transports/transport.ts";
import type { Audience, AudienceProvider } from "./audience.ts";

/**
 * Which clients get a record, over all kinds of sessions: sessions subscribe here to audiences, which they get from their provider. One owner,
 * the shard's loop.
 *
 * Cost of `select`: one call for each provider that has clients, no allocation. The call sees as many classes as there are such providers, which
 * V8 keeps apart inline up to four.
 */
export class Hub {
	readonly #providers: AudienceProvider[] = [];
	readonly #audiences: Audience[] = [];
	readonly #forJoins: AudienceProvider[] = [];

	/** Asked for each record, after those that were added before. */
	add(provider: AudienceProvider): void {
		this.#providers.push(provider);
	}

	/** Asked for records that say who subscribes and unsubscribes, and for no others. */
	addForJoins(provider: AudienceProvider): void {
		this.#forJoins.push(provider);
	}

	/** The client, which is open and not in the audience, gets from now on what the audience gets. */
	subscribe(client: Transport, audience: Audience): void {
		audience.provider.subscriptions++;
		// All are counted before anything can fail: `forget` takes the client out of all.
		for (let each: Audience | null = audience; each !== null; each = each.wider) each.add(client);
		if (!hasTopics(client)) return;
		for (let each: Audience | null = audience; each !== null; each = each.wider) client.subscribe(each.topic);
	}

	/** The client, which is open and in the audience, gets nothing more through it. */
	unsubscribe(client: Transport, audience: Audience): void {
		if (hasTopics(client)) for (let each: Audience | null = audience; each !== null; each = each.wider) client.unsubscribe(each.topic);
		this.forget(client, audience);
	}

	/**
	 * The client gets from now on by another transport, or as one of another audience, what it got before, in one step: nothing is missed, nothing
	 * comes twice. The new comes before the old ends, since uWebSockets.js forgets what waits for a client without topics.
	 */
	move(from: Transport, audience: Audience, to: Transport, into: Audience = audience): void {
		this.subscribe(to, into);
		this.unsubscribe(from, audience);
	}

	/** As `unsubscribe`, for a client whose connection is gone: its topics went with it. */
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
		// Setting the length to 0 would give the array's memory away, and the next push ask for new: garbage for every record.
		while (audiences.length > 0) audiences.pop();
		const providers = this.#providers;
		for (let index = 0; index < providers.length; index++) {
			const provider = providers[index]!;
			if (provider.subscriptions > 0) provider.select(u8, view, head, audiences);
		}
		return audiences;
	}

	/** The audiences of a record that says who subscribes or unsubscribes. */
	selectForJoins(u8: Uint8Array, view: DataView, head: RecordHead): readonly Audience[] {
		const audiences: Audience[] = [];
		for (const provider of this.#forJoins) provider.select(u8, view, head, audiences);
		return audiences;
	}

	/** Clients that get a message of this channel; "" = one to everybody. */
	reach(channel: string): number {
		let clients = 0;
		for (const provider of this.#providers) clients += provider.reach(channel);
		return clients;
	}
}

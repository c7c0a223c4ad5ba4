import { CentrifugeSession } from "./centrifuge/centrifuge-session.ts";
import type { Subscribers } from "./centrifuge/subscribers.ts";
import type { Sessions } from "./sessions.ts";

interface SubscriptionEndsParts {
	readonly sessions: Pick<Sessions, "all" | "count">;
	readonly subscribers: Pick<Subscribers, "subscriptionsMade">;
}

/**
 * Makes positioned subscribers of channels resubscribe, since they have missed publications.
 *
 * Owned by the shard's loop. A call visits all clients, about 1 ms with 5,000. If many follow in the same turn, since many channels have lost
 * publications, an index is built as soon as it costs less than the calls so far: it visits all subscriptions. It is gone when the turn ends.
 */
export class SubscriptionEnds {
	readonly #parts: SubscriptionEndsParts;
	/** Visits of this turn. */
	#visits = 0;
	/** Subscriptions at the first call of this turn. */
	#subscriptions = 0;
	/** Positioned subscribers by channel. */
	#index: Map<string, CentrifugeSession[]> | null = null;
	/** The count of subscriptions when the index was built. Later ones are not in it. */
	#madeAtIndex = 0;

	constructor(parts: SubscriptionEndsParts) {
		this.#parts = parts;
	}

	end(channels: ReadonlySet<string>): void {
		const { sessions } = this.#parts;
		const isFirst = this.#visits === 0;
		this.#visits += sessions.count;
		if (!isFirst && this.#visits > this.#subscriptions) {
			const index = this.#current();
			for (const channel of channels) for (const session of index.get(channel) ?? []) endIn(session, channel);
			return;
		}
		if (isFirst) queueMicrotask(this.#turnEnded);
		for (const session of [...sessions.all]) {
			if (!(session instanceof CentrifugeSession)) continue;
			const { subscriptions } = session;
			if (isFirst) this.#subscriptions += subscriptions.size;
			const both = channels.size < subscriptions.size ? channels : [...subscriptions.keys()].filter((channel) => channels.has(channel));
			for (const channel of both) endIn(session, channel);
		}
	}

	#current(): ReadonlyMap<string, readonly CentrifugeSession[]> {
		const { sessions, subscribers } = this.#parts;
		if (this.#index !== null && this.#madeAtIndex === subscribers.subscriptionsMade) return this.#index;
		const index = new Map<string, CentrifugeSession[]>();
		for (const session of sessions.all) {
			if (!(session instanceof CentrifugeSession)) continue;
			for (const { channel, recovers } of session.subscriptions.values()) {
				if (!recovers) continue;
				const found = index.get(channel);
				if (found === undefined) index.set(channel, [session]);
				else found.push(session);
			}
		}
		this.#index = index;
		this.#madeAtIndex = subscribers.subscriptionsMade;
		return index;
	}

	readonly #turnEnded = (): void => {
		this.#visits = 0;
		this.#subscriptions = 0;
		this.#index = null;
	};
}

/** Clients that are closing get nothing more. */
function endIn(session: CentrifugeSession, channel: string): void {
	if (!session.isGone && session.subscriptions.get(channel)?.recovers) session.endWithoutState(channel);
}

import { CentrifugeSession } from "./centrifuge/centrifuge-session.ts";
import type { Subscribers } from "./centrifuge/subscribers.ts";
import type { Sessions } from "./sessions.ts";

interface SubscriptionEndsParts {
	readonly sessions: Pick<Sessions, "all">;
	readonly subscribers: Pick<Subscribers, "subscribed">;
}

/**
 * Makes positioned subscribers of channels resubscribe, since they have missed publications.
 *
 * Owned by the shard's loop. The first call in a turn visits all clients, about 1 ms with 5,000. If more calls follow in the same turn, since
 * many channels have lost publications, the second one builds an index, which the others use; it is gone when the turn ends.
 */
export class SubscriptionEnds {
	readonly #parts: SubscriptionEndsParts;
	#calls = 0;
	/** Positioned subscribers by channel. */
	#index: Map<string, CentrifugeSession[]> | null = null;
	/** The count of subscriptions when the index was built. Later ones are not in it. */
	#indexed = 0;

	constructor(parts: SubscriptionEndsParts) {
		this.#parts = parts;
	}

	end(channels: ReadonlySet<string>): void {
		if (this.#calls++ > 0) {
			const index = this.#current();
			for (const channel of channels) for (const session of index.get(channel) ?? []) endIn(session, channel);
			return;
		}
		queueMicrotask(this.#turnEnded);
		for (const session of [...this.#parts.sessions.all]) {
			if (!(session instanceof CentrifugeSession)) continue;
			const { subscriptions } = session;
			const both = channels.size < subscriptions.size ? channels : [...subscriptions.keys()].filter((channel) => channels.has(channel));
			for (const channel of both) endIn(session, channel);
		}
	}

	#current(): ReadonlyMap<string, readonly CentrifugeSession[]> {
		const { sessions, subscribers } = this.#parts;
		if (this.#index !== null && this.#indexed === subscribers.subscribed) return this.#index;
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
		this.#indexed = subscribers.subscribed;
		return index;
	}

	readonly #turnEnded = (): void => {
		this.#calls = 0;
		this.#index = null;
	};
}

/** Clients that are closing get nothing more. */
function endIn(session: CentrifugeSession, channel: string): void {
	if (!session.isGone && session.subscriptions.get(channel)?.recovers) session.endWithoutState(channel);
}

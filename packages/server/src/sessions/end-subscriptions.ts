import { CentrifugeSession } from "./centrifuge/centrifuge-session.ts";
import type { ClientSession } from "./client-session.ts";

/** Makes positioned subscribers of these channels resubscribe, since they have missed publications. Visits all clients. */
export function endSubscriptions(sessions: readonly ClientSession[], channels: ReadonlySet<string>): void {
	for (const session of [...sessions]) {
		if (!(session instanceof CentrifugeSession)) continue;
		const { subscriptions } = session;
		const both = channels.size < subscriptions.size ? channels : [...subscriptions.keys()].filter((channel) => channels.has(channel));
		for (const channel of both) if (subscriptions.get(channel)?.recovers) session.endWithoutState(channel);
	}
}

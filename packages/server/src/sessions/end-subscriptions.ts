import { CentrifugeSession } from "../sessions/centrifuge/centrifuge-session.ts";
import type { ClientSession } from "../sessions/client-session.ts";

/** Makes positioned subscribers of these channels resubscribe, since they have missed publications. Visits all clients. */
export function endSubscriptions(sessions: readonly ClientSession[], channels: ReadonlySet<string>): void {
	for (const session of [...sessions]) {
		if (!(session instanceof CentrifugeSession)) continue;
		for (const { channel, recovers } of [...session.subscriptions.values()])
			if (recovers && channels.has(channel)) session.endWithoutState(channel);
	}
}

import { CloseCode, toldPerSecond } from "@shardcast/wire";

interface ClosableClient {
	/** Negative when its connection has ended. */
	readonly place: number;
	readonly transport: { getBufferedAmount(): number };
}

interface ClosingParts<Client extends ClosableClient> {
	/** Returns all current clients. */
	readonly clients: () => Client[];
	/** Closes a client. Writing the close may take a while. */
	readonly close: (client: Client, code: CloseCode) => void;
	/** Whether a client may be closed now; one that may not is asked again later. All may if not given. */
	readonly mayClose?: (client: Client) => boolean;
	/** True = the others are not closed any more. */
	readonly isEnded?: () => boolean;
	/** Rate at which the clients may reconnect (`--drain-rate`). It is exceeded only if there is no time for it. */
	readonly clientsPerSecond: number;
	/** Total time: all clients are closed in the first half; the second half is for those that read slowly. Infinity = as long as the rate takes. */
	readonly deadlineMs: number;
	readonly nowMs: () => number;
	readonly pause: (ms: number) => Promise<void>;
	readonly random: () => number;
}

const tickMs = 20;
/** A tick that comes late makes up for so much. All of a long pause at once would be a burst of reconnects. */
const madeUpMsMax = 5 * tickMs;

/**
 * Closes all clients, spread over time, so that they do not all reconnect to the other shards, or to the next start, at the same moment. They are
 * closed in random order with jittered pauses: `toldPerSecond`, or more if needed to finish in half of the time. Those that read slowly have until three
 * quarters of it. Few clients are closed at once, and so are all if hardly any time is left.
 *
 * Clients with unwritten messages are closed last, so that they get those first. Resolves when no client is left, or when the time is over.
 */
export async function closeAll<Client extends ClosableClient>(parts: ClosingParts<Client>): Promise<void> {
	const { close, deadlineMs, nowMs, pause, random, mayClose = () => true, isEnded = () => false } = parts;
	const beganMs = nowMs();
	const endsMs = beganMs + deadlineMs;
	let waiting = shuffled(parts.clients(), random);
	let spreadEndsMs = beganMs + deadlineMs / 2;
	const ratePerMs = toldPerSecond(parts.clientsPerSecond) / 1000;
	// With no time left, all are closed in the first tick.
	const perMs = () => Math.max(ratePerMs, waiting.length / Math.max(1, spreadEndsMs - nowMs()));
	let sinceMs = nowMs();
	// Unused allowance of the rate. The first client may be closed at once.
	let credit = Math.max(1, tickMs * perMs());
	while (waiting.length > 0) {
		const tickAtMs = nowMs();
		credit += Math.min(tickAtMs - sinceMs, madeUpMsMax) * perMs();
		sinceMs = tickAtMs;
		const allowed = Math.floor(credit);
		const rest: Client[] = [];
		let told = 0;
		for (const client of waiting) {
			if (client.place < 0) continue;
			if (told < allowed && client.transport.getBufferedAmount() === 0 && mayClose(client)) {
				close(client, CloseCode.goingAway);
				told++;
			} else rest.push(client);
		}
		// Those that are left at the half have unwritten messages. If all of these are written at the same moment, it must not be a burst either.
		if (tickAtMs >= spreadEndsMs) spreadEndsMs = beganMs + deadlineMs * 0.75;
		// Slow clients leave unused credit, which must not become a burst.
		credit = Math.min(credit - told, Math.max(1, tickMs * perMs()));
		waiting = rest;
		if (waiting.length === 0 || nowMs() >= endsMs) break;
		await pause(Math.min(tickMs * (0.5 + random()), Math.max(1, endsMs - nowMs())));
		if (isEnded()) break;
	}
}

/**
 * Waits until closed connections have ended. If the process exits while a connection has unread bytes of its client, the kernel resets it, and
 * messages that the client has not received are lost.
 */
export async function waitUntilClosed(
	openAtMost: number,
	parts: Pick<ClosingParts<ClosableClient>, "deadlineMs" | "nowMs" | "pause"> & { open: () => number },
): Promise<void> {
	const endsMs = parts.nowMs() + parts.deadlineMs;
	while (parts.open() > openAtMost && parts.nowMs() < endsMs) await parts.pause(5);
}

function shuffled<T>(items: T[], random: () => number): T[] {
	for (let last = items.length - 1; last > 0; last--) {
		const other = Math.floor(random() * (last + 1));
		[items[last], items[other]] = [items[other], items[last]];
	}
	return items;
}

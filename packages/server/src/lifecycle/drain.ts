import { CloseCode } from "@shardcast/wire";
import type { ClientSession } from "../sessions/client-session.ts";

export interface ClosingParts {
	/** All clients, now. */
	readonly clients: () => ClientSession[];
	/** Tells a client to go; it may still take a while to be written. */
	readonly close: (client: ClientSession, code: CloseCode) => void;
	/** Lowest number of clients per second (`--drain-rate`). */
	readonly clientsPerSecond: number;
	/** In all; half of it is for the last client to be told, the rest for those that read slowly. */
	readonly deadlineMs: number;
	readonly nowMs: () => number;
	readonly pause: (ms: number) => Promise<void>;
	readonly random: () => number;
}

const tickMs = 20;

/**
 * Tells all clients to reconnect elsewhere, spread over time: a cluster's worth of clients that reconnect in one instant would
 * hit the other shards, or the next start, all at once. In random order, `clientsPerSecond` of them or as many as it takes to be
 * done in half of the time, with the pauses between ticks jittered. Few clients are told at once; so are all when hardly any time is left.
 *
 * A client with unwritten messages is told last: it gets those first. Resolves when no client is left, or when the time is up.
 */
export async function closeAll(parts: ClosingParts): Promise<void> {
	const { close, deadlineMs, nowMs, pause, random } = parts;
	const endsMs = nowMs() + deadlineMs;
	let waiting = shuffled(parts.clients(), random);
	// With no time left, everybody is told in the first tick.
	const spreadMs = Math.max(1, deadlineMs / 2);
	const perMs = Math.max(parts.clientsPerSecond / 1000, waiting.length / spreadMs);
	let sinceMs = nowMs();
	// What the rate allows and has not been used; the first may go at once.
	let credit = Math.max(1, tickMs * perMs);
	while (waiting.length > 0) {
		const tickAtMs = nowMs();
		credit += (tickAtMs - sinceMs) * perMs;
		sinceMs = tickAtMs;
		const allowed = Math.floor(credit);
		const rest: ClientSession[] = [];
		let told = 0;
		for (const client of waiting) {
			if (client.place < 0) continue;
			if (told < allowed && client.transport.getBufferedAmount() === 0) {
				close(client, CloseCode.goingAway);
				told++;
			} else rest.push(client);
		}
		// Clients that read slowly leave credit behind; it must not become a burst.
		credit = Math.min(credit - told, Math.max(1, tickMs * perMs));
		waiting = rest;
		if (waiting.length === 0 || nowMs() >= endsMs) break;
		await pause(Math.min(tickMs * (0.5 + random()), Math.max(1, endsMs - nowMs())));
	}
}

/**
 * Waits for connections to end that have been told to go. One that this process leaves behind with something unread from its
 * client is reset by the kernel, and what the client has not received of our messages is lost with it.
 */
export async function lingered(
	openAtMost: number,
	parts: Pick<ClosingParts, "deadlineMs" | "nowMs" | "pause"> & { open: () => number },
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

import { setTimeout as pause } from "node:timers/promises";
import { Deadline, openFiles, withDeadline } from "@shardcast/process";
import type { FlushEngine } from "../delivery/flush.ts";
import type { LeavingSessions } from "../sessions/leaving-sessions.ts";
import type { Sessions } from "../sessions/sessions.ts";
import { closeAll, lingered } from "./drain.ts";

export interface ShardDrainParts {
	readonly engine: FlushEngine;
	readonly sessions: Sessions;
	readonly leaving: LeavingSessions;
	/** Publishes whose body is on its way, and messages that wait for a handler or for room in the ring. */
	readonly unfinished: () => number;
	readonly bodiesRead: () => Promise<void>;
	/** No message waits for a handler. */
	readonly messagesHandled: () => Promise<void>;
	/** Kafka's part. */
	readonly ingestDrained: (deadlineMs: number) => Promise<void>;
	/** Pages that show the console are told before the clients. */
	readonly consoleClosed: () => void;
	readonly clientsPerSecond: number;
	/** Files that were open before there were any clients. */
	readonly openAtStart: number;
}

/** What was cut off: each a count of things that somebody was promised. */
export interface DrainedShard {
	/** Messages and publishes that were not put on the bus. */
	readonly unfinished: number;
	/** Clients that did not read what they had to get; their connections have been reset. */
	readonly unread: number;
}

/** Share of the time that work already taken may use up, before clients are told to go. */
const workShare = 0.25;
/** How long connections may take to end after their last byte was written. */
const lingerMsMax = 250;

/**
 * Works a shard off that takes nothing new any more: first what it has taken, then its clients are told to go while it still
 * delivers, then what those published meanwhile. No step waits longer than it has to; together they keep the deadline. The last step
 * resets and counts the clients that are still here when the deadline has passed, so a caller must not stop waiting at that moment.
 */
export async function drainShard(parts: ShardDrainParts, deadlineMs: number): Promise<DrainedShard> {
	const { engine, sessions, leaving } = parts;
	const deadline = new Deadline(deadlineMs);
	const work = new Deadline(deadlineMs * workShare);
	const clock = { nowMs: () => performance.now(), pause };

	await inTime(parts.bodiesRead(), work.leftMs());
	await inTime(parts.messagesHandled(), work.leftMs());
	await inTime(parts.ingestDrained(work.leftMs()), work.leftMs());
	await inTime(engine.whenEmpty(), work.leftMs());
	parts.consoleClosed();
	await closeAll({
		clients: () => sessions.snapshot(),
		close: (client, code) => client.close(code),
		clientsPerSecond: parts.clientsPerSecond,
		deadlineMs: deadline.leftMs(),
		random: Math.random,
		...clock,
	});
	await inTime(parts.messagesHandled(), deadline.leftMs());
	await inTime(engine.whenEmpty(), deadline.leftMs());
	const lingerMs = Math.min(lingerMsMax, deadline.leftMs());
	await lingered(parts.openAtStart, { deadlineMs: lingerMs, open: () => openFiles() ?? 0, ...clock });
	// Their connections would outlive this process, with all that they did not read.
	const unread = sessions.snapshot();
	leaving.cut(unread);
	return { unfinished: parts.unfinished(), unread: unread.length };
}

/** Waits for the work, but no longer than that; what was not done is counted at the end. */
async function inTime(work: Promise<void>, deadlineMs: number): Promise<void> {
	await withDeadline(work, deadlineMs, "draining").catch(() => {});
}

import { ReaderCounters } from "../frames/frame-reader.ts";

/** Why both connections of a link were closed: a line each, for the log and the metrics. */
export const linkEnds = {
	dial: "it cannot be reached",
	dial_timeout: "it did not accept both connections in time",
	lost: "a connection ended",
	idle: "nothing came on its control connection within --backend-idle-timeout, not even an answer to a ping",
	stalled: "the rest of a frame did not come within --backend-idle-timeout",
	oversized: "it sent a frame that is empty or longer than --max-frame: does it speak the gateway's protocol?",
	backlog: "it does not read what it is told about clients",
	stopped: "the gateway closed it",
} as const;
export type LinkEnd = keyof typeof linkEnds;

/** Counters of one link since the start. Written by the link alone. */
export class LinkCounts {
	/** Attempts to connect. */
	dials = 0;
	/** Times that the link was up. */
	ups = 0;
	/** Ends that count as failures of the backend. */
	failures = 0;
	/** Ends by reason. */
	readonly ends: Record<LinkEnd, number> = { dial: 0, dial_timeout: 0, lost: 0, idle: 0, stalled: 0, oversized: 0, backlog: 0, stopped: 0 };
	/** Frames that were handed to the kernel, with those of the link itself. */
	sentFrames = 0;
	/** Frames that were received, without those of the link itself. */
	receivedFrames = 0;
	/** What the readers of both connections count. */
	readonly reader = new ReaderCounters();
	/** Bytes on the wire. */
	sentBytes = 0;
	receivedBytes = 0;
	/** System calls that wrote. */
	writes = 0;
	/** CONTROL, ACK and FILE frames that waited, or were on their way, when the link ended. */
	undelivered = 0;
	/** VIDEO frames that did. */
	undeliveredVideo = 0;
	/** Times that reading stopped: a receiver had no room, no buffer was free, the bandwidth was used up, or the frames of a turn of the loop. */
	readonly readingStopped = { paused: 0, buffer: 0, bandwidth: 0, turn: 0 };
}

import { FrameLayout } from "../frames/frame-descriptor.ts";
import { type BreakerOptions, breakerDefaults } from "./breaker.ts";
import { type ReconnectOptions, reconnectDefaults } from "./reconnect-delay.ts";

export interface LinkOptions {
	/** Limit for connecting both connections. */
	readonly dialMs: number;
	/** A link that was up for so long has succeeded: it begins without failures. */
	readonly stableMs: number;
	/** The link has failed when nothing has come on its control connection for so long; after half of it, the backend is asked for a sign of life. */
	readonly idleMs: number;
	/** After the first end of a connection, or `leave`, connections are read for so long, without the time in which frames wait for room. */
	readonly finishMs: number;
	/** The same, with that time. */
	readonly finishMsMax: number;
	/** Most bytes in a payload. */
	readonly frameBytesMax: number;
	/** Frames that are read from one connection in one turn of the event loop. */
	readonly framesPerTurn: number;
	/** Frames that may wait for the data connection. */
	readonly queueFrames: number;
	/** Frames that may wait for the control connection. */
	readonly priorityQueueFrames: number;
	/** Bytes that may wait for both connections. */
	readonly queueBytes: number;
	/** Bytes per second of each connection, each way; 0 = no limit. */
	readonly bandwidth: number;
	readonly breaker: BreakerOptions;
	readonly reconnect: ReconnectOptions;
}

export const linkDefaults: LinkOptions = {
	dialMs: 5000,
	stableMs: 5000,
	idleMs: 60_000,
	finishMs: 5000,
	finishMsMax: 60_000,
	frameBytesMax: FrameLayout.payloadBytesMaxDefault,
	framesPerTurn: 64,
	queueFrames: 256,
	priorityQueueFrames: 64,
	queueBytes: 32 * 2 ** 20,
	bandwidth: 0,
	breaker: breakerDefaults,
	reconnect: reconnectDefaults,
};

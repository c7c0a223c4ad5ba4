/**
 * Layout of a frame. All numbers are unsigned and big-endian.
 *
 * ```
 * On TCP, both ways:
 *      0          4           8            12                12 + length
 *      +----------+-----------+------------+-----------------+
 *      | length   | client id | backend id | payload         |
 *      | u32      | u32       | u32        | length bytes    |
 *      +----------+-----------+------------+-----------------+
 * length ≥ 1     counts the payload alone
 *
 * In a WebSocket message, both ways: the same without its length, since the message has one.
 *      0           4            8                end of the message
 *      +-----------+------------+----------------+
 *      | client id | backend id | payload        |
 *      +-----------+------------+----------------+
 *
 * Payload:
 *      0        1
 *      +--------+----------------------
 *      | class  | what the class means
 *      | u8     |
 *      +--------+----------------------
 * ```
 * An id of 0 means all: all clients, all backends. From the gateway to a client, backend id 0 means the gateway itself.
 */
export const FrameLayout = {
	lengthOffset: 0,
	clientOffset: 4,
	backendOffset: 8,
	headerBytes: 12,

	/** Relative to a WebSocket message. */
	messageClientOffset: 0,
	messageBackendOffset: 4,
	messageHeaderBytes: 8,

	/** Relative to the payload. */
	classOffset: 0,
	/** In an ACK: the class that it acknowledges. Without it, VIDEO. */
	ackedClassOffset: 1,

	/** A payload has at least its class. */
	payloadBytesMin: 1,
	/** Limit on a payload, unless the gateway was given another one. */
	payloadBytesMaxDefault: 8 * 2 ** 20,
	/** No limit can be larger: lengths up to here are small integers for V8. */
	payloadBytesMaxMax: 2 ** 30,

	/** The id that means all. */
	everyone: 0,
} as const;

/** What a frame is for, and so what happens to it when a queue is full. */
export const FrameClass = {
	/** Messages of the gateway itself: JSON. */
	LINK: 0x00,
	/** Never dropped: its source waits. */
	CONTROL: 0x01,
	/** The newest matters: older ones are dropped when something is full. */
	VIDEO: 0x02,
	/** Acknowledges a frame. */
	ACK: 0x03,
	/** Never dropped: its source waits. */
	FILE: 0x04,
} as const;
export type FrameClass = (typeof FrameClass)[keyof typeof FrameClass];

/** How many classes there are; a class is an index below this. */
export const frameClassCount = 5;

// Relations between the constants that reader and writer depend on, checked once at load.
const relations: readonly [boolean, string][] = [
	[FrameLayout.headerBytes - FrameLayout.messageHeaderBytes === FrameLayout.clientOffset, "a message is a frame without its length"],
	[FrameLayout.clientOffset - FrameLayout.messageClientOffset === 4, "a message is a frame without its length"],
	[FrameLayout.backendOffset - FrameLayout.messageBackendOffset === 4, "a message is a frame without its length"],
	[FrameLayout.payloadBytesMaxDefault <= FrameLayout.payloadBytesMaxMax, "the default limit is above the largest one"],
	[FrameLayout.payloadBytesMaxMax + FrameLayout.headerBytes < 2 ** 31, "byte counts must fit into 31 bits"],
	[Object.values(FrameClass).every((value, index) => value === index), "classes are counted from 0 without a gap"],
	[Object.values(FrameClass).length === frameClassCount, "frameClassCount does not belong to FrameClass"],
];
for (const [holds, otherwise] of relations) if (!holds) throw new Error(`FrameLayout: ${otherwise}`);

/** Gets one record of the ring of `origin`: `u8[start] … u8[end - 1]`. The bytes are valid until `read` returns. */
export type VisitOrigin = (origin: number, u8: Uint8Array, view: DataView, start: number, end: number) => void;

/** Like `VisitOrigin`; returns whether to go on. */
export type VisitOriginAhead = (origin: number, u8: Uint8Array, view: DataView, start: number, end: number) => boolean;

/**
 * One member's end of the broadcast bus. **Used on one thread.** Every member, including the publisher, gets each record once, in the order
 * in which its origin published it.
 *
 * Publishing never blocks and never loses a record: `claim` returns -1 while the slowest member has not made room (counted), and the caller
 * must slow down its source. A member that stops reading blocks all others until the supervisor removes it.
 *
 * The loop of a member:
 * ```
 * turn:  read(max, …), publish with claim … commit, then ringWaiters()
 *        more records? another turn.  otherwise  sleep() ? wait for onWake : another turn
 * ```
 */
export interface BusLink {
	readonly member: number;
	/** The bytes of this member's ring. Write a record at the offset that `claim` returns. */
	readonly u8: Uint8Array;
	/** The same bytes. */
	readonly view: DataView;
	/** Longest record. `claim` throws for a longer one. */
	readonly recordBytesMax: number;
	/** Capacity of a ring; the same for all. */
	readonly capacityBytes: number;

	/** Returns where to write a record of `bytes` bytes in `u8`, or -1 when this member's ring is full. One claim at a time. */
	claim(bytes: number): number;
	/** Publishes the claimed record. */
	commit(): void;
	/** Wakes sleeping members. Call once after a series of commits: costs one load per member if none sleeps. */
	ringWaiters(): void;

	/**
	 * Visits up to `max` records of all rings and returns how many. The first ring rotates, so that a busy member cannot starve the others.
	 * Ends after the record with which it has visited `bytesMax` bytes. If `visit` throws, the batch ends, the record counts as read, and the error is
	 * rethrown.
	 */
	read(max: number, visit: VisitOrigin, bytesMax?: number): number;
	/**
	 * Visits the unread records of all rings that it has not visited before, until `visit` returns false. `read` visits them again, in the same order for
	 * each ring. Not within a read.
	 * @returns false if `visit` has ended it.
	 */
	ahead(visit: VisitOriginAhead): boolean;
	hasRecords(): boolean;

	/**
	 * Announces that this member sleeps, then checks once more. Returns true if the caller may wait for `onWake`; false if there is work already
	 * (records, changed members, connections handed over), and then the member counts as awake.
	 *
	 * No wake-up is lost, because each side writes before it checks: the sleeper its word, the writer its tail.
	 */
	sleep(): boolean;
	/** Marks this member as awake, when it has found work by itself. Costs one load if it was awake. */
	awake(): void;
	/**
	 * Whether this member sleeps although there is work, because the process that should have rung its doorbell had no descriptors left. Checked
	 * at each heartbeat, so that such a failure costs only a moment. May also be true just before the doorbell rings.
	 */
	overslept(): boolean;
	/** Sets the callback for wake-ups by other processes. It runs on the event loop; there may be nothing to do. */
	onWake(callback: () => void): void;
	/** Opens the rings of new members and closes those of removed ones. `read`, `sleep` and `hasRecords` do so, too. */
	refreshMembers(): void;

	/** Bytes of this member's ring that its slowest reader has not read. */
	depthBytes(): number;
	/** Bytes that this member has not read, over all rings. */
	backlogBytes(): number;
	/** Claims that found this ring full, over all processes of this slot. */
	readonly backpressuredCount: number;

	/** Leaves the bus: other members no longer wait for this one. Only `close` may be called afterwards. */
	close(): void;
}

/** Gets one record of the ring of `origin`: `u8[start] … u8[end - 1]`. They are the writer's again once `read` returns. */
export type VisitOrigin = (origin: number, u8: Uint8Array, view: DataView, start: number, end: number) => void;

/**
 * One member's end of the broadcast bus. **Used on one thread.** What any member publishes, every member gets, itself
 * included, once, in the order of publishing of each origin.
 *
 * Publishing never blocks and never loses a record: `claim` returns -1 while the slowest member has not made room (counted), and
 * the caller must slow down its source. A member that stops reading holds up all others until the supervisor
 * removes it.
 *
 * The loop of a member:
 * ```
 * turn:  do something with read(max, …), publish with claim … commit, then ringWaiters()
 *        more there? another turn.  else  sleep() ? wait for onWake : another turn
 * ```
 */
export interface BusLink {
	readonly member: number;
	/** The bytes of this member's ring; a record is written where `claim` says. */
	readonly u8: Uint8Array;
	/** The same bytes. */
	readonly view: DataView;
	/** Longest record; `claim` throws for a longer one, since it would never fit. */
	readonly recordBytesMax: number;
	/** Of one ring; all have the same capacity. */
	readonly capacityBytes: number;

	/** Returns where to write a record of `bytes` bytes in `u8`, or -1 when this member's ring is full. One claim at a time. */
	claim(bytes: number): number;
	/** Publishes the claimed record. */
	commit(): void;
	/** Wakes sleeping members. Call once after a series of commits: costs one load per member if none sleeps. */
	ringWaiters(): void;

	/**
	 * Visits up to `max` records of all rings and returns how many. The first ring rotates, so a busy member cannot
	 * starve the others. When `visit` throws, the batch ends there, the record counts as read, and the error goes through.
	 */
	read(max: number, visit: VisitOrigin): number;
	hasRecords(): boolean;

	/**
	 * Announces that this member sleeps, then looks once more. True: it may wait for `onWake`. False: there is something
	 * already (records, members that came or went, connections that were handed over), and it counts as awake.
	 *
	 * No wake-up is lost, because each side writes before it looks: the sleeper its word, the writer its tail.
	 */
	sleep(): boolean;
	/** This member has found something to do by itself: until it sleeps again, nobody has to wake it. Costs one load when it was awake. */
	awake(): void;
	/**
	 * This member sleeps though there is something: the process that should have rung it had no descriptors left. Asked at each heartbeat, so
	 * that such a ring costs a moment and not the message. May also be true while the ring is under way.
	 */
	overslept(): boolean;
	/** Called on the event loop after another process woke this member. There may be nothing to do. */
	onWake(callback: () => void): void;
	/** Opens the rings of new members, closes those of removed ones. `read`, `sleep` and `hasRecords` do so too. */
	refreshMembers(): void;

	/** Bytes of this member's ring that its slowest reader has not read. */
	depthBytes(): number;
	/** Bytes that this member has not read, over all rings. */
	backlogBytes(): number;
	/** Claims that found this ring full, over all processes that this slot has had. */
	readonly backpressuredCount: number;

	/** Leaves: no other member waits for this one any more. Only `close` may be called afterwards. */
	close(): void;
}

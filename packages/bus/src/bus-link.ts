/** Gets one record of the ring of `origin`: `u8[start] … u8[end - 1]`. They are the writer's again once `read` returns. */
export type VisitOrigin = (origin: number, u8: Uint8Array, view: DataView, start: number, end: number) => void;

/**
 * One member's end of the broadcast bus. **Used on one thread.** What any member publishes, every member gets, itself
 * included, once, in the order of publishing of each origin.
 *
 * Publishing never blocks and never loses: `claim` answers -1 while the slowest member has not made room (counted), and
 * slowing down the source is the caller's business. A member that stops reading holds all others up until the supervisor
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
	/** The own ring: where `claim` says, a record is written. */
	readonly u8: Uint8Array;
	/** The same bytes. */
	readonly view: DataView;
	/** Longest record; `claim` throws for a longer one, since it would never fit. */
	readonly recordBytesMax: number;
	/** Of one ring; all are alike. */
	readonly capacityBytes: number;

	/** Where to write a record of `bytes` bytes in `u8`, or -1 when the own ring is full. One claim at a time. */
	claim(bytes: number): number;
	/** Publishes the claimed record. */
	commit(): void;
	/** Wakes members that sleep. Once after a run of commits: costs one load per member when nobody sleeps. */
	ringWaiters(): void;

	/**
	 * Visits up to `max` records of all rings and returns how many. The ring to begin with rotates, so a busy member cannot
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
	 * This member sleeps though there is something: whoever should have rung could not, for want of descriptors. Asked at each heartbeat, so
	 * that such a ring costs a moment and not the message. May also be true while the ring is under way.
	 */
	overslept(): boolean;
	/** Called on the event loop when somebody has woken this member. May come without need. */
	onWake(callback: () => void): void;
	/** Takes up rings of new members, lets go of those of removed ones. `read`, `sleep` and `hasRecords` do it by themselves. */
	refreshMembers(): void;

	/** Bytes that the slowest member has not read of the own ring. */
	depthBytes(): number;
	/** Bytes that this member has not read, over all rings. */
	backlogBytes(): number;
	/** Claims that found the own ring full, over all members that this slot has had. */
	readonly backpressuredCount: number;

	/** Leaves: nobody waits for this member any more. Nothing may be called afterwards but `close`. */
	close(): void;
}

import type { BusLink, RecordSource, VisitOrigin, VisitOriginAhead } from "@shardcast/bus";
import type { Counters } from "@shardcast/scoreboard";
import type { FlushPolicy } from "./flush-policy.ts";

/** Node's loop, or a fake of it. */
export interface Scheduler {
	nowMs(): number;
	/** Runs the callback after the loop has next polled its sockets. */
	soon(callback: () => void): void;
	later(callback: () => void, afterMs: number): void;
}

const nodeScheduler: Scheduler = {
	nowMs: () => performance.now(),
	soon: (callback) => void setImmediate(callback),
	later: (callback, afterMs) => void setTimeout(callback, afterMs),
};

interface FlushEngineParts {
	readonly bus: Pick<BusLink, "read" | "ahead" | "hasRecords" | "sleep" | "awake" | "ringWaiters" | "backlogBytes" | "capacityBytes">;
	readonly policy: FlushPolicy;
	readonly counters: Counters;
	/** Delivers a record of the bus to the clients. */
	readonly deliver: VisitOrigin;
	/** Delivers a waiting record of the bus at once if it has high priority, and returns whether it has; `deliver` then skips it. */
	readonly deliverAhead: VisitOriginAhead;
	/** Changes whenever a record with high priority was written to the bus. Read once per turn. */
	readonly urgentRecords: () => number;
	/** Delivers a record of a record source to the clients. */
	readonly deliverIngested: VisitOrigin;
	/** Called at the start of each turn, before anything is delivered. */
	readonly beforeTurn: () => void;
	/** Called at the end of each turn, before anything else runs. */
	readonly afterTurn: () => void;
	/** Whether this flush has written to a socket so far. */
	readonly hasPublished: () => boolean;
	/** Called once per flush. */
	readonly afterFlush: () => void;
	/** Whether messages wait for room in this shard's ring. They are retried at each flush; no doorbell rings when there is room. */
	readonly holds: () => boolean;
	/** Maximum number of records per turn (`--batch`). */
	readonly batch: number;
	readonly pacing: TurnPacing;
	readonly scheduler?: Scheduler;
}

/** Limits a turn by what the sockets can take. */
export interface TurnPacing {
	/**
	 * Bytes of records after which a turn ends. Everything published in a turn is written before the loop next polls its sockets, so a turn above
	 * `--max-buffered` would make slow clients of those that read as fast as they can.
	 */
	readonly turnBytesMax: number;
	/** Whether clients have to read before the next turn. Called again every millisecond while it returns true. */
	mustWait(backlogBytes: () => number): boolean;
	/** Called after a turn that delivered `bytes` bytes of records. */
	published(bytes: number): void;
}

/**
 * `asleep`: waits for the doorbell. `pausing`: waits for a timer. `due`: a turn is scheduled, or waits for clients to read. `settling`: the last
 * turn's writes are in progress.
 */
type State = "asleep" | "pausing" | "due" | "settling";

/** Pause before checking again whether clients have read enough. */
const pacingRetryMs = 1;

/** Pause before retrying held messages when the ring is full. */
const holdRetryMs = 1;

/**
 * The core of a shard: reads records from all rings and delivers them to the clients, in flushes (see `FlushPolicy`).
 *
 * A flush has one or more turns of at most `batch` records. Between turns the loop polls its sockets, so that accepting, closing and pings continue.
 * A turn always runs as an immediate or a timer, never in a socket's callback: uWebSockets.js writes what was published before it next polls
 * sockets. So nothing is written to a slow client between the message that it could not take and its close. `Pacing` limits how much a turn delivers
 * and whether it must wait.
 *
 * Owned by the shard's loop. After a flush that found records, it checks again after the pause, without arming the doorbell: under load there is no
 * system call per message. If there are no records, it sleeps until the doorbell rings.
 */
export class FlushEngine {
	readonly #parts: FlushEngineParts;
	readonly #scheduler: Scheduler;
	readonly #sources: RecordSource[] = [];
	/** Delivery function of each source, in the same order. */
	readonly #visits: VisitOrigin[] = [];
	#state: State = "asleep";
	#beganMs = 0;
	/** When the turn started to wait for clients to read; NaN = not waiting. */
	#waitsSinceMs = Number.NaN;
	/** Records in this flush. */
	#records = 0;
	#turnNumber = 0;
	#turnRecords = 0;
	#turnBytes = 0;
	#turnBytesMax = 0;
	/** Fill level of the fullest ring when this flush began. */
	#fill = 0;
	/** Distinguishes the timer of this pause from those of pauses cut short. */
	#pauseNumber = 0;
	/** As of the last turn that looked ahead to the end; NaN = look again. */
	#urgentRecords = 0;
	/** Delivered ahead in this turn. */
	#turnAhead = 0;
	#mustRing = false;
	#ringScheduled = false;
	/** Callers that wait for empty rings, and those that have waited since before the last turn. */
	#waiting: (() => void)[] = [];
	#covered: (() => void)[] = [];
	#started = false;
	#stopped = false;

	constructor(parts: FlushEngineParts) {
		this.#parts = parts;
		this.#scheduler = parts.scheduler ?? nodeScheduler;
	}

	/** Starts; until then, nothing wakes it. */
	start(): void {
		this.#started = true;
		this.wake();
	}

	/** Adds a ring to read. @param deliver delivers its records; by default like records that this shard ingests itself. */
	addSource(source: RecordSource, deliver: VisitOrigin = this.#parts.deliverIngested): void {
		this.#sources.push(source);
		this.#visits.push((origin, u8, view, start, end) => {
			this.#turnBytes += end - start;
			deliver(origin, u8, view, start, end);
		});
		this.wake();
	}

	removeSource(source: RecordSource): void {
		const place = this.#sources.indexOf(source);
		if (place < 0) return;
		this.#sources.splice(place, 1);
		this.#visits.splice(place, 1);
	}

	/** Call when there may be records: after a doorbell or a write. Cheap; may be called at any time. */
	wake(): void {
		if (this.#state !== "asleep" || !this.#started || this.#stopped) return;
		// Otherwise this shard would wake itself for the record that it is about to publish.
		this.#parts.bus.awake();
		this.#schedule(this.#parts.policy.waitMs(this.#scheduler.nowMs()));
	}

	/** Call after a record was written to this shard's ring: all shards, this one included, can read it. */
	committed(): void {
		this.#mustRing = true;
		this.wake();
		// Other shards do not wait for our pause. Sleeping ones are woken once, at the end of this turn of the loop, for all its records.
		if (this.#state === "due" || this.#ringScheduled) return;
		this.#ringScheduled = true;
		this.#scheduler.soon(this.#ringSoon);
	}

	/** Ends the pause at once: this shard's ring is full, or it has written a record with high priority. */
	hurry(): void {
		if (this.#state === "pausing" && !this.#stopped) this.#schedule(0);
	}

	/** Resolves when all rings were empty and no message was held for a moment: everything from before the call is delivered. */
	whenEmpty(): Promise<void> {
		// The doorbell may be about to ring.
		if (this.#state === "asleep" && this.#hasRecords()) this.wake();
		if (this.#state === "asleep" || this.#stopped) return Promise.resolve();
		return new Promise((resolve) => this.#waiting.push(resolve));
	}

	/** Stops: no further turn runs. */
	stop(): void {
		this.#stopped = true;
		release(this.#waiting);
		release(this.#covered);
	}

	readonly #turn = (): void => {
		if (this.#stopped) return;
		const { pacing } = this.#parts;
		if (this.#state !== "due") this.#begin();
		this.#parts.beforeTurn();
		if (pacing.mustWait(this.#backlogBytes)) {
			this.#ring();
			if (Number.isNaN(this.#waitsSinceMs)) this.#waitsSinceMs = this.#scheduler.nowMs();
			this.#scheduler.later(this.#turn, pacingRetryMs);
			return;
		}
		// Waiting for clients to read does not count as time of the flush.
		if (!Number.isNaN(this.#waitsSinceMs)) this.#beganMs += this.#scheduler.nowMs() - this.#waitsSinceMs;
		this.#waitsSinceMs = Number.NaN;
		this.#covered.push(...this.#waiting.splice(0));
		this.#turnBytes = 0;
		this.#turnRecords = 0;
		this.#turnBytesMax = pacing.turnBytesMax;
		const urgentRecords = this.#parts.urgentRecords();
		if (urgentRecords !== this.#urgentRecords) {
			this.#turnAhead = 0;
			this.#urgentRecords = this.#parts.bus.ahead(this.#deliverAhead) ? urgentRecords : Number.NaN;
		}
		// Starts with another ring each time, so that a busy one may fill one turn, but not every turn.
		const rings = this.#sources.length + 1;
		const first = this.#turnNumber++ % rings;
		for (let place = first; place < first + rings; place++) this.#read(place % rings);
		this.#parts.afterTurn();
		this.#ring();
		this.#records += this.#turnRecords;
		pacing.published(this.#turnBytes);
		if (!this.#turnHasRoom) this.#scheduler.soon(this.#turn);
		else {
			this.#state = "settling";
			if (this.#parts.hasPublished()) this.#scheduler.soon(this.#settleAndLook);
			else if (this.#settle(false)) this.#checkOnce();
		}
	};

	/** Ends a flush that has written nothing, without another turn of the loop. New records wait for the next turn; otherwise sockets would starve. */
	#checkOnce(): void {
		if (this.#maySleep()) this.#rest();
		else this.#scheduler.soon(this.#turn);
	}

	/** Reads what is in the bus (`place` 0) or a source, until the turn is full. */
	#read(place: number): void {
		const ring = place === 0 ? this.#parts.bus : this.#sources[place - 1];
		const visit = place === 0 ? this.#deliver : this.#visits[place - 1];
		while (this.#turnHasRoom) {
			const count = ring.read(this.#parts.batch - this.#turnRecords, visit, this.#turnBytesMax - this.#turnBytes);
			this.#turnRecords += count;
			// A source may count more bytes than it delivers, and so end before the turn is full.
			if (count === 0 || !ring.hasRecords()) return;
		}
	}

	get #turnHasRoom(): boolean {
		return this.#turnRecords < this.#parts.batch && this.#turnBytes < this.#turnBytesMax;
	}

	readonly #deliver: VisitOrigin = (origin, u8, view, start, end) => {
		this.#turnBytes += end - start;
		this.#parts.deliver(origin, u8, view, start, end);
	};

	/** Runs after a turn of the loop, when everything that the flush published has been written. */
	readonly #settleAndLook = (): void => {
		if (!this.#stopped && this.#settle(true)) this.#look();
	};

	/** Delivers at most as much as a turn may. What is left is still at the head of the next turn. */
	readonly #deliverAhead: VisitOriginAhead = (origin, u8, view, start, end) => {
		if (!this.#parts.deliverAhead(origin, u8, view, start, end)) return true;
		this.#turnBytes += end - start;
		this.#turnAhead++;
		return this.#turnAhead < this.#parts.batch && this.#turnBytes < this.#turnBytesMax;
	};

	/** Ends the flush. @returns whether to check for more at once; otherwise a pause has begun. */
	#settle(hasPublished: boolean): boolean {
		const { policy, counters } = this.#parts;
		if (this.#records > 0) {
			const nowMs = this.#scheduler.nowMs();
			// A flush that wrote nothing gains nothing from a pause, so none follows.
			policy.flushed(hasPublished ? this.#beganMs : nowMs, nowMs, this.#fill);
			counters.add("recordsRead", this.#records);
			counters.add("flushes", 1);
			counters.histograms.flushDurationMs.observe(nowMs - this.#beganMs);
			counters.histograms.flushRecords.observe(this.#records);
			counters.set("flushIntervalMs", policy.pauseMs);
		}
		this.#parts.afterFlush();
		if (!this.#parts.holds()) release(this.#covered);
		const pauseMs = Math.max(this.#records > 0 ? policy.pauseMs : 0, this.#parts.holds() ? holdRetryMs : 0);
		if (pauseMs > 0) this.#schedule(pauseMs);
		return pauseMs === 0;
	}

	readonly #look = (): void => {
		if (this.#stopped) return;
		if (this.#maySleep()) this.#rest();
		else this.#turn();
	};

	/** Whether there is nothing left to do and the other processes know that this shard must be woken. */
	#maySleep(): boolean {
		return !this.#parts.holds() && !this.#hasRecords() && this.#sleep();
	}

	#rest(): void {
		this.#state = "asleep";
		release(this.#waiting);
	}

	readonly #ringSoon = (): void => {
		this.#ringScheduled = false;
		if (!this.#stopped) this.#ring();
	};

	#schedule(waitMs: number): void {
		if (waitMs > 0) {
			this.#state = "pausing";
			const pauseNumber = ++this.#pauseNumber;
			this.#scheduler.later(() => {
				if (this.#state === "pausing" && this.#pauseNumber === pauseNumber) this.#look();
			}, waitMs);
			return;
		}
		this.#begin();
		this.#scheduler.soon(this.#turn);
	}

	#begin(): void {
		const { bus } = this.#parts;
		this.#state = "due";
		this.#beganMs = this.#scheduler.nowMs();
		this.#records = 0;
		this.#fill = bus.backlogBytes() / bus.capacityBytes;
		for (const source of this.#sources) this.#fill = Math.max(this.#fill, source.fill());
	}

	#ring(): void {
		if (!this.#mustRing) return;
		this.#mustRing = false;
		this.#parts.bus.ringWaiters();
	}

	readonly #backlogBytes = (): number => {
		const { bus } = this.#parts;
		let bytes = bus.backlogBytes();
		for (const source of this.#sources) bytes += source.fill() * bus.capacityBytes;
		return bytes;
	};

	#hasRecords(): boolean {
		return this.#parts.bus.hasRecords() || this.#sources.some((source) => source.hasRecords());
	}

	/** Requests a wake-up from every ring, so all of them must be called. */
	#sleep(): boolean {
		let sleeps = this.#parts.bus.sleep();
		for (const source of this.#sources) sleeps = source.sleep() && sleeps;
		return sleeps;
	}
}

function release(waiting: (() => void)[]): void {
	for (const resolve of waiting.splice(0)) resolve();
}

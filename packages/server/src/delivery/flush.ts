import type { BusLink, RecordSource, VisitOrigin } from "@shardcast/bus";
import type { Counters } from "@shardcast/scoreboard";
import type { FlushPolicy } from "./flush-policy.ts";

/** Node's loop, or a fake of it. */
export interface Scheduler {
	nowMs(): number;
	/** After the loop's next look at its sockets. */
	soon(callback: () => void): void;
	later(callback: () => void, afterMs: number): void;
}

export const nodeScheduler: Scheduler = {
	nowMs: () => performance.now(),
	soon: (callback) => void setImmediate(callback),
	later: (callback, afterMs) => void setTimeout(callback, afterMs),
};

export interface FlushEngineParts {
	readonly bus: Pick<BusLink, "read" | "hasRecords" | "sleep" | "awake" | "ringWaiters" | "backlogBytes" | "capacityBytes">;
	readonly policy: FlushPolicy;
	readonly counters: Counters;
	/** Delivers a record of the bus to the clients. */
	readonly deliver: VisitOrigin;
	/** Delivers a record of a record source to the clients. */
	readonly deliverIngested: VisitOrigin;
	/** Called at the start of each turn, before anything is delivered. */
	readonly beforeTurn: () => void;
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

/** How much the sockets can take. */
export interface TurnPacing {
	/**
	 * Bytes of records after which a turn ends. What a turn publishes is written before the loop next looks at its sockets, so a turn that
	 * exceeded `--max-buffered` would turn clients that read as fast as they can into slow clients.
	 */
	readonly turnBytesMax: number;
	/** Whether clients have to read before the next turn. Asked again every millisecond while it says so. */
	mustWait(backlogBytes: () => number): boolean;
	/** A turn has ended; it delivered records of so many bytes. */
	published(bytes: number): void;
}

/**
 * `asleep`: the doorbell wakes us. `pausing`: a timer does. `due`: a turn is scheduled, or waits for clients to read. `settling`: the last
 * turn's writes are under way.
 */
type State = "asleep" | "pausing" | "due" | "settling";

/** Records between two looks at how many bytes a turn has come to; one when a record takes more than this share of a turn. */
const recordsPerLook = 4;
const largeRecordShare = 1 / 8;

/** How soon to ask again whether clients have read enough. */
const pacingRetryMs = 1;

/** How soon to try again to put held messages into a ring that is full. */
const holdRetryMs = 1;

/**
 * The core of a shard: reads records from all rings and delivers them to the clients, in flushes (see `FlushPolicy`).
 *
 * A flush is one or more turns of at most `batch` records each; between turns the loop looks at its sockets, so that accepting,
 * closing and pings go on. A turn always runs as an immediate or a timer, never within a socket's callback: uWebSockets.js
 * writes what was published before it next looks at sockets, so between a message that a slow client could not take and the
 * close of that client nothing else can be written to it. `Pacing` says how much a turn delivers and whether it must wait.
 *
 * One owner, the shard's loop. After a flush that found records it looks again after the pause, without arming the doorbell:
 * under load there is no system call per message. When a look finds nothing it sleeps until the doorbell.
 */
export class FlushEngine {
	readonly #parts: FlushEngineParts;
	readonly #scheduler: Scheduler;
	readonly #sources: RecordSource[] = [];
	/** Of each source, in the same order: what brings its records to the clients. */
	readonly #visits: VisitOrigin[] = [];
	#state: State = "asleep";
	#beganMs = 0;
	/** When the turn started to wait for clients to read; NaN = it does not wait. */
	#waitsSinceMs = Number.NaN;
	/** Of this flush. */
	#records = 0;
	#turnNumber = 0;
	#turnRecords = 0;
	#turnBytes = 0;
	#turnBytesMax = 0;
	#recordsPerLook = recordsPerLook;
	/** Of the fullest ring when this flush began. */
	#fill = 0;
	/** Tells the timer of this pause from those of pauses that were cut short. */
	#pauseNumber = 0;
	#mustRing = false;
	#ringScheduled = false;
	/** Waiting for the rings to be empty, and of these the ones that have waited since before the last turn. */
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

	/** Adds a ring to read. @param deliver brings its records to the clients; without it, as records that this shard took in itself. */
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
		// Or this shard would wake itself once more, for the record that it is about to publish.
		this.#parts.bus.awake();
		this.#schedule(this.#parts.policy.waitMs(this.#scheduler.nowMs()));
	}

	/** A record was written to this shard's ring: all shards, this one included, have something to read. */
	committed(): void {
		this.#mustRing = true;
		this.wake();
		// The others do not wait for our pause. One look at who sleeps, at the end of this turn of the loop, for all its records.
		if (this.#state === "due" || this.#ringScheduled) return;
		this.#ringScheduled = true;
		this.#scheduler.soon(this.#ringSoon);
	}

	/** This shard's ring is full: ends the pause at once. */
	hurry(): void {
		if (this.#state === "pausing" && !this.#stopped) this.#schedule(0);
	}

	/** Resolves when all rings have been empty and no message held, at least for a moment: everything from before has been delivered. */
	whenEmpty(): Promise<void> {
		// The ring of the doorbell may be on its way.
		if (this.#state === "asleep" && this.#hasRecords()) this.wake();
		if (this.#state === "asleep" || this.#stopped) return Promise.resolve();
		return new Promise((resolve) => this.#waiting.push(resolve));
	}

	/** No further turn runs. */
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
		// The time that clients take to read does not count as time of the flush.
		if (!Number.isNaN(this.#waitsSinceMs)) this.#beganMs += this.#scheduler.nowMs() - this.#waitsSinceMs;
		this.#waitsSinceMs = Number.NaN;
		this.#covered.push(...this.#waiting.splice(0));
		this.#turnBytes = 0;
		this.#turnRecords = 0;
		this.#turnBytesMax = pacing.turnBytesMax;
		// Another ring comes first each time: a busy one may fill the turn, but not every turn.
		const rings = this.#sources.length + 1;
		const first = this.#turnNumber++ % rings;
		for (let place = first; place < first + rings; place++) this.#read(place % rings);
		this.#ring();
		this.#records += this.#turnRecords;
		pacing.published(this.#turnBytes);
		if (!this.#turnHasRoom) this.#scheduler.soon(this.#turn);
		else {
			this.#state = "settling";
			if (this.#parts.hasPublished()) this.#scheduler.soon(this.#settleAndLook);
			else if (this.#settle(false)) this.#lookOnce();
		}
	};

	/** Nothing has to be written, so the flush ends without another turn of the loop. New records wait for the next turn, or sockets would starve. */
	#lookOnce(): void {
		if (this.#mayRest()) this.#rest();
		else this.#scheduler.soon(this.#turn);
	}

	/** Reads the bus (place 0) or a source until it is empty or the turn is full. */
	#read(place: number): void {
		const ring = place === 0 ? this.#parts.bus : this.#sources[place - 1];
		const visit = place === 0 ? this.#deliver : this.#visits[place - 1];
		while (this.#turnHasRoom) {
			const max = Math.min(this.#recordsPerLook, this.#parts.batch - this.#turnRecords);
			const bytesBefore = this.#turnBytes;
			const count = ring.read(max, visit);
			this.#turnRecords += count;
			const areLarge = this.#turnBytes - bytesBefore > count * this.#turnBytesMax * largeRecordShare;
			this.#recordsPerLook = areLarge ? 1 : recordsPerLook;
			if (count < max) return;
		}
	}

	get #turnHasRoom(): boolean {
		return this.#turnRecords < this.#parts.batch && this.#turnBytes < this.#turnBytesMax;
	}

	readonly #deliver: VisitOrigin = (origin, u8, view, start, end) => {
		this.#turnBytes += end - start;
		this.#parts.deliver(origin, u8, view, start, end);
	};

	/** The loop has made a turn: what the flush published has been written. */
	readonly #settleAndLook = (): void => {
		if (!this.#stopped && this.#settle(true)) this.#look();
	};

	/** Ends the flush. @returns whether to look for more at once; else a pause has begun. */
	#settle(hasPublished: boolean): boolean {
		const { policy, counters } = this.#parts;
		if (this.#records > 0) {
			const nowMs = this.#scheduler.nowMs();
			// A flush that wrote nothing saved no write by its pause, so the next one needs none.
			policy.flushed(hasPublished ? this.#beganMs : nowMs, nowMs, this.#fill);
			counters.add("recordsRead", this.#records);
			counters.add("flushes", 1);
			counters.set("flushMs", nowMs - this.#beganMs);
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
		if (this.#mayRest()) this.#rest();
		else this.#turn();
	};

	/** Nothing is left to do, and the other processes know that this shard wants to be woken. */
	#mayRest(): boolean {
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

	/** Every ring is asked to wake us, so all of them must be asked. */
	#sleep(): boolean {
		let sleeps = this.#parts.bus.sleep();
		for (const source of this.#sources) sleeps = source.sleep() && sleeps;
		return sleeps;
	}
}

function release(waiting: (() => void)[]): void {
	for (const resolve of waiting.splice(0)) resolve();
}

import { type Scheduled, waitedForCpu } from "@shardcast/process";
import { Heartbeat, monotonicMs } from "@shardcast/wire";

/** A child, as the watchdog sees it. */
export interface Watched {
	/** `monotonicMs()` of its last heartbeat; null = none is expected now. */
	readonly beatMs: number | null;
	/** Its threads. Asked only while its heartbeat is late. */
	scheduled(): Scheduled;
	/** The child does not respond. Called once, until it responds again. */
	onSilent(silentMs: number): void;
	/** The child responds again. */
	onRecovered(silentMs: number): void;
	/** The child has been silent for too long and must be killed. Called at each check. `waitedMs` of its silence it waited for a CPU. */
	onHung(silentMs: number, waitedMs: number): void;
}

/** State of a watched child. */
interface Seen {
	beatMs: number | null;
	/** Time of the last heartbeat by the watchdog's own clock. */
	sinceMs: number;
	toldSilent: boolean;
	/** At the last check; null = its heartbeat was not late. */
	scheduled: Scheduled | null;
	/** Part of its silence in which it waited for a CPU. */
	waitedMs: number;
}

interface WatchdogParts {
	readonly children: readonly Watched[];
	/** `--heartbeat-timeout`. */
	readonly heartbeatTimeoutMs: number;
	/**
	 * Called at each check, with the run time that the children have had since the last one. This is less than the elapsed time if this process or
	 * the whole machine was paused.
	 */
	readonly onLook: (passedMs: number) => void;
	readonly now?: () => number;
}

/** A child that mostly waits for a CPU is killed when it has been silent for this many times the timeout: others wait for it too. */
const starvedTimeouts = 10;

/** Longest interval between checks; a tenth of the timeout if that is shorter. */
const everyMsMax = 200;

/**
 * Finds hung children. It measures their silence with a separate clock that advances by at most two intervals per check: if this process or the
 * whole machine was paused, the children had no time for heartbeats either. So a hung child may be found up to one interval later.
 *
 * The time in which a child waited for a CPU does not count, up to a limit: a busy machine makes all children slow, and killing them would send
 * their clients to the others, which are as slow.
 *
 * One timer serves everything that the supervisor checks several times a second, since wake-ups are most of the cost of an idle supervisor.
 */
export class Watchdog {
	readonly #watched = new Map<Watched, Seen>();
	readonly #onLook: (passedMs: number) => void;
	readonly #now: () => number;
	#timeoutMs = 0;
	#everyMs = 0;
	#timer: NodeJS.Timeout | undefined;
	#checkedMs = 0;
	#clockMs = 0;

	constructor({ children, heartbeatTimeoutMs, onLook, now = monotonicMs }: WatchdogParts) {
		for (const child of children) this.watch(child);
		this.#onLook = onLook;
		this.#now = now;
		this.heartbeatTimeoutMs = heartbeatTimeoutMs;
	}

	/** Also looks at this child from now on. */
	watch(child: Watched): void {
		this.#watched.set(child, { beatMs: null, sinceMs: this.#clockMs, toldSilent: false, scheduled: null, waitedMs: 0 });
	}

	/** Looks at it no more. */
	forget(child: Watched): void {
		this.#watched.delete(child);
	}

	/** Also sets the interval between checks. */
	set heartbeatTimeoutMs(value: number) {
		this.#timeoutMs = value;
		this.#everyMs = Math.min(everyMsMax, value / 10);
		if (this.#timer === undefined) return;
		this.stop();
		this.start();
	}

	start(): void {
		this.#checkedMs = this.#now();
		this.#timer = setInterval(() => this.#checkAll(), this.#everyMs);
	}

	stop(): void {
		clearInterval(this.#timer);
		this.#timer = undefined;
	}

	#checkAll(): void {
		const nowMs = this.#now();
		const passedMs = Math.min(nowMs - this.#checkedMs, 2 * this.#everyMs);
		this.#clockMs += passedMs;
		this.#checkedMs = nowMs;
		for (const [child, seen] of this.#watched) this.#checkChild(child, seen, nowMs, passedMs);
		this.#onLook(passedMs);
	}

	#checkChild(child: Watched, seen: Seen, nowMs: number, passedMs: number): void {
		const { beatMs } = child;
		const silentMs = this.#clockMs - seen.sinceMs;
		if (beatMs === null || beatMs !== seen.beatMs) {
			if (seen.toldSilent && beatMs !== null) child.onRecovered(silentMs);
			seen.beatMs = beatMs;
			// The heartbeat arrived since the last check.
			seen.sinceMs = this.#clockMs - (beatMs === null ? 0 : Math.min(Math.max(0, nowMs - beatMs), passedMs));
			seen.toldSilent = false;
			seen.scheduled = null;
			seen.waitedMs = 0;
			return;
		}
		// Between two heartbeats in time, nothing is read.
		if (silentMs <= Heartbeat.everyMs) return;
		const scheduled = child.scheduled();
		if (seen.scheduled !== null) seen.waitedMs += waitedForCpu(seen.scheduled, scheduled, passedMs);
		seen.scheduled = scheduled;
		if (silentMs - seen.waitedMs > this.#timeoutMs || silentMs > starvedTimeouts * this.#timeoutMs) child.onHung(silentMs, seen.waitedMs);
		else if (silentMs > Heartbeat.silentMs && !seen.toldSilent) {
			seen.toldSilent = true;
			child.onSilent(silentMs);
		}
	}
}

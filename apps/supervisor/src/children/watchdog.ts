import { Heartbeat, monotonicMs } from "@shardcast/wire";

/** What the watchdog needs of a child. */
export interface Watched {
	/** `monotonicMs()` of its last heartbeat; null = it has no reason to beat now. */
	readonly beatMs: number | null;
	/** It does not respond; told once, until it does again. */
	onSilent(silentMs: number): void;
	/** It responds again. */
	onRecovered(silentMs: number): void;
	/** It has been silent for too long and is to be killed; told again at each look. */
	onHung(silentMs: number): void;
}

/** What was seen of one child. */
interface Seen {
	beatMs: number | null;
	/** When this heartbeat was seen first, by the watchdog's own clock. */
	sinceMs: number;
	toldSilent: boolean;
}

/** A tenth of the time-out when that is shorter. */
const everyMsMax = 100;

/**
 * Looks for children that hang. It measures their silence with a separate clock that goes on by at most two intervals per look: when
 * this process stood still, or the whole machine did, the children have not had the time to beat either. The silence that it sees is
 * therefore up to an interval and a heartbeat shorter than the real one.
 */
export class Watchdog {
	readonly #watched: ReadonlyMap<Watched, Seen>;
	readonly #now: () => number;
	#timeoutMs = 0;
	#everyMs = 0;
	#timer: NodeJS.Timeout | undefined;
	#lookedMs = 0;
	#clockMs = 0;

	constructor(watched: readonly Watched[], heartbeatTimeoutMs: number, now: () => number = monotonicMs) {
		this.#watched = new Map(watched.map((child) => [child, { beatMs: null, sinceMs: 0, toldSilent: false }]));
		this.#now = now;
		this.heartbeatTimeoutMs = heartbeatTimeoutMs;
	}

	/** How often it looks follows from it. */
	set heartbeatTimeoutMs(value: number) {
		this.#timeoutMs = value;
		this.#everyMs = Math.min(everyMsMax, value / 10);
		if (this.#timer === undefined) return;
		this.stop();
		this.start();
	}

	start(): void {
		this.#lookedMs = this.#now();
		this.#timer = setInterval(() => this.#look(), this.#everyMs);
	}

	stop(): void {
		clearInterval(this.#timer);
		this.#timer = undefined;
	}

	#look(): void {
		const nowMs = this.#now();
		this.#clockMs += Math.min(nowMs - this.#lookedMs, 2 * this.#everyMs);
		this.#lookedMs = nowMs;
		for (const [child, seen] of this.#watched) this.#lookAt(child, seen);
	}

	#lookAt(child: Watched, seen: Seen): void {
		const { beatMs } = child;
		const silentMs = this.#clockMs - seen.sinceMs;
		if (beatMs === null || beatMs !== seen.beatMs) {
			if (seen.toldSilent && beatMs !== null) child.onRecovered(silentMs);
			seen.beatMs = beatMs;
			seen.sinceMs = this.#clockMs;
			seen.toldSilent = false;
			return;
		}
		if (silentMs > this.#timeoutMs) child.onHung(silentMs);
		else if (silentMs > Heartbeat.silentMs && !seen.toldSilent) {
			seen.toldSilent = true;
			child.onSilent(silentMs);
		}
	}
}

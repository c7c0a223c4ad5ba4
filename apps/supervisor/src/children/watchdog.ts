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
	/** When this heartbeat came, by the watchdog's own clock. */
	sinceMs: number;
	toldSilent: boolean;
}

export interface WatchdogParts {
	readonly children: readonly Watched[];
	/** `--heartbeat-timeout`. */
	readonly heartbeatTimeoutMs: number;
	/**
	 * What else is looked at each time. Told how much time the children have had since the last look: less than has passed when this process
	 * stood still, or the whole machine did.
	 */
	readonly onLook: (passedMs: number) => void;
	readonly now?: () => number;
}

/** A tenth of the time-out when that is shorter. */
const everyMsMax = 200;

/**
 * Looks for children that hang. It measures their silence with a separate clock that goes on by at most two intervals per look: when
 * this process stood still, or the whole machine did, the children have not had the time to beat either. A child is therefore found up to an
 * interval later than its silence alone says.
 *
 * One timer serves all that the supervisor has to look at several times a second: its wake-ups are what an idle supervisor costs.
 */
export class Watchdog {
	readonly #watched: ReadonlyMap<Watched, Seen>;
	readonly #onLook: (passedMs: number) => void;
	readonly #now: () => number;
	#timeoutMs = 0;
	#everyMs = 0;
	#timer: NodeJS.Timeout | undefined;
	#lookedMs = 0;
	#clockMs = 0;

	constructor({ children, heartbeatTimeoutMs, onLook, now = monotonicMs }: WatchdogParts) {
		this.#watched = new Map(children.map((child) => [child, { beatMs: null, sinceMs: 0, toldSilent: false }]));
		this.#onLook = onLook;
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
		const passedMs = Math.min(nowMs - this.#lookedMs, 2 * this.#everyMs);
		this.#clockMs += passedMs;
		this.#lookedMs = nowMs;
		for (const [child, seen] of this.#watched) this.#lookAt(child, seen, nowMs, passedMs);
		this.#onLook(passedMs);
	}

	#lookAt(child: Watched, seen: Seen, nowMs: number, passedMs: number): void {
		const { beatMs } = child;
		const silentMs = this.#clockMs - seen.sinceMs;
		if (beatMs === null || beatMs !== seen.beatMs) {
			if (seen.toldSilent && beatMs !== null) child.onRecovered(silentMs);
			seen.beatMs = beatMs;
			// It came since the last look.
			seen.sinceMs = this.#clockMs - (beatMs === null ? 0 : Math.min(Math.max(0, nowMs - beatMs), passedMs));
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

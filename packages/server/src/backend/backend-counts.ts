/** Why a call to a backend brought no reply that can be used. */
const callFailures = [
	/** No reply within the time for the call, the wait for a slot included. */
	"timeout",
	/** No connection: the address is unknown, or nobody listens there. */
	"unreachable",
	/** The certificate is not valid, or the other side does not speak TLS. */
	"tls",
	/** The connection ended before the reply did. */
	"reset",
	/** What came is not HTTP. */
	"protocol",
	/** A status from 300 to 399: redirects are not followed. */
	"redirect",
	/** Any other status than 200. */
	"status",
	/** The reply is longer than it may be. */
	"too_large",
	/** The reply is not JSON, or not what a reply to this hook may be. */
	"invalid",
	/** Too many calls wait already. */
	"queue_full",
	/** The shard stops. */
	"stopped",
] as const;
export type CallFailure = (typeof callFailures)[number];

/** Upper bounds of the histogram of call times, in seconds; one more for all that took longer. */
export const callSecondsBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5] as const;

/** What became of the calls to one backend. Calls that were given up because their client left are counted as `abandoned` only. */
export class BackendCounts {
	replies = 0;
	abandoned = 0;
	/** Calls that were sent a second time, see `Backend`. */
	repeats = 0;
	/** Failures after which the client went on all the same, as the options say. */
	passes = 0;
	/** Seconds of all calls that ended by themselves, with a reply or not. */
	seconds = 0;
	readonly failures = Object.fromEntries(callFailures.map((kind) => [kind, 0])) as Record<CallFailure, number>;
	/** By status, of replies with another one than 200; at most 500 entries, because a status has three digits. */
	readonly statuses = new Map<number, number>();
	/** Calls by time, not cumulative; see `callSecondsBounds`. */
	readonly times = new Float64Array(callSecondsBounds.length + 1);

	took(seconds: number): void {
		this.seconds += seconds;
		const at = callSecondsBounds.findIndex((bound) => seconds <= bound);
		this.times[at < 0 ? callSecondsBounds.length : at]!++;
	}

	/** For the metrics, by what came of the calls. */
	get results(): Readonly<Record<string, number>> {
		return { reply: this.replies, abandoned: this.abandoned, ...this.failures };
	}

	/** For the metrics, as Prometheus counts. */
	get histogram(): { readonly bounds: readonly number[]; readonly counts: number[]; readonly count: number; readonly sum: number } {
		let count = 0;
		const counts = callSecondsBounds.map((_, at) => {
			count += this.times[at]!;
			return count;
		});
		return { bounds: callSecondsBounds, counts, count: count + this.times.at(-1)!, sum: this.seconds };
	}

	failed(kind: CallFailure, status: number): void {
		this.failures[kind]++;
		if (status !== 0 && status !== 200) this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
	}
}

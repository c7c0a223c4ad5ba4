/** Why a call to a backend brought no usable reply. */
const callFailures = [
	/** No reply within the timeout of the call, which includes the wait for a slot. */
	"timeout",
	/** No connection: the address is unknown, or no server listens there. */
	"unreachable",
	/** The certificate is not valid, or the other side does not speak TLS. */
	"tls",
	/** The connection ended before the reply was complete. */
	"reset",
	/** The response is not HTTP. */
	"protocol",
	/** A status from 300 to 399: redirects are not followed. */
	"redirect",
	/** Any other status except 200. */
	"status",
	/** The reply is longer than the limit. */
	"too_large",
	/** The reply is not JSON, or not a valid reply to this hook. */
	"invalid",
	/** Too many calls are waiting. */
	"queue_full",
	/** The shard is stopping. */
	"stopped",
] as const;
export type CallFailure = (typeof callFailures)[number];

/** Upper bounds of the histogram of call times, in seconds; one more bucket counts all longer calls. */
export const callSecondsBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5] as const;

/** Counts calls to one backend by result. A call abandoned because its client left counts as `abandoned` only. */
export class BackendCounts {
	replies = 0;
	abandoned = 0;
	/** Calls that were sent a second time, see `Backend`. */
	repeats = 0;
	/** Failures after which the client continued anyway, because of `on_failure`. */
	passes = 0;
	/** Total seconds of all calls that were not abandoned, with a reply or not. */
	seconds = 0;
	readonly failures = Object.fromEntries(callFailures.map((kind) => [kind, 0])) as Record<CallFailure, number>;
	/** Replies with a status other than 200, by status; at most 500 entries, because a status has three digits. */
	readonly statuses = new Map<number, number>();
	/** Calls by duration, not cumulative; see `callSecondsBounds`. */
	readonly times = new Float64Array(callSecondsBounds.length + 1);

	took(seconds: number): void {
		this.seconds += seconds;
		const at = callSecondsBounds.findIndex((bound) => seconds <= bound);
		this.times[at < 0 ? callSecondsBounds.length : at]!++;
	}

	/** Calls by result, for the metrics. */
	get results(): Readonly<Record<string, number>> {
		return { reply: this.replies, abandoned: this.abandoned, ...this.failures };
	}

	/** Cumulative, as Prometheus expects. */
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

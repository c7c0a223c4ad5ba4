/**
 * How the processes of a cluster see that one of them does not respond. All times are in milliseconds.
 *
 * A heartbeat is one store into shared memory, so it can be frequent: five a second cost 0.02 % of a core.
 */
export const Heartbeat = {
	/** Each shard and the balancer beat this often, on the event loop that does their work: a loop that hangs falls silent. */
	everyMs: 200,
	/**
	 * After this time without one a process counts as not responding: /health says so, and the balancer gives it no new clients. Nothing is
	 * taken away from it yet, so a loop that was only held up goes on as if nothing had happened.
	 */
	silentMs: 800,
	/** Shortest `--heartbeat-timeout`, after which the supervisor kills it: with less, a single late beat or two would kill a healthy process. */
	timeoutMsMin: 1000,
} as const;

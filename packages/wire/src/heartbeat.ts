/**
 * Times for noticing that a process of the cluster does not respond, in milliseconds.
 *
 * A heartbeat is one store into shared memory, so it can be frequent: five per second cost 0.02 % of a core.
 */
export const Heartbeat = {
	/** Interval of the heartbeats of shards and balancer. They run on the main event loop, so they stop if it hangs. */
	everyMs: 200,
	/**
	 * After this time without a heartbeat a process counts as not responding: /health shows it, and the balancer gives it no new clients. Nothing
	 * else happens yet, so a loop that was only delayed loses nothing.
	 */
	silentMs: 800,
	/** Minimum of `--heartbeat-timeout`, after which the supervisor kills a process. With less, one or two late heartbeats would kill a healthy process. */
	timeoutMsMin: 1000,
} as const;

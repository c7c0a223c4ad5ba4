import { Heartbeat } from "@shardcast/wire";
import { choice, duration, integer } from "../../kinds.ts";
import { everywhere, option, withGateway, withProcesses } from "../../option.ts";

/** Section `supervision`. */
export const supervisionOptions = {
	restartBackoffMinMs: option({
		flag: "restart-backoff-min",
		key: "restart_backoff_min",
		kind: duration({ minMs: 1, maxMs: 3_600_000 }),
		default: 250,
		commands: withProcesses,
		live: true,
		help: "Pause before the first restart of a process that died; it doubles with each further death.",
	}),
	restartBackoffMaxMs: option({
		flag: "restart-backoff-max",
		key: "restart_backoff_max",
		kind: duration({ minMs: 1, maxMs: 3_600_000 }),
		default: 30_000,
		commands: withProcesses,
		live: true,
		help: "Maximum pause before a restart.",
	}),
	crashLimit: option({
		flag: "crash-limit",
		key: "crash_limit",
		kind: integer({ min: 1, max: 1000 }),
		default: 5,
		commands: withProcesses,
		live: true,
		help: "Deaths of one process tolerated within --crash-window; one more stops the cluster with exit status 1.",
	}),
	crashWindowMs: option({
		flag: "crash-window",
		key: "crash_window",
		kind: duration({ minMs: 100, maxMs: 3_600_000 }),
		default: 30_000,
		commands: withProcesses,
		live: true,
		help: "Period in which deaths are counted; a process that runs for this long counts as stable.",
	}),
	heartbeatTimeoutMs: option({
		flag: "heartbeat-timeout",
		key: "heartbeat_timeout",
		kind: duration({ minMs: Heartbeat.timeoutMsMin, maxMs: 3_600_000 }),
		default: 2500,
		commands: withProcesses,
		live: true,
		help: "Time without a heartbeat after which a process counts as hung, is killed and restarted; heartbeats come five times a second. Waiting for a CPU does not count, up to ten times this.",
	}),
	readyTimeoutMs: option({
		flag: "ready-timeout",
		key: "ready_timeout",
		kind: duration({ minMs: 100, maxMs: 3_600_000 }),
		default: 20_000,
		commands: withProcesses,
		live: true,
		help: "Maximum time for a process to become ready; then it is killed and restarted.",
	}),
} as const;

export const failoverStrategies = ["graceful", "immediate", "delayed"] as const;

/** Section `shutdown`. */
export const shutdownOptions = {
	failover: option({
		flag: "failover",
		key: "failover",
		kind: choice(failoverStrategies),
		default: "graceful",
		live: true,
		help: "How clients leave a server that stops: graceful = after the replies and publications that are in progress, at --drain-rate; immediate = all at once, before that; delayed = like graceful, after a time in which it still serves but is no longer selected: --drain-delay, or 5 s.",
	}),
	drainDelayMs: option({
		flag: "drain-delay",
		key: "drain_delay",
		kind: duration({ minMs: 1, maxMs: 3_600_000, zero: true }),
		default: 0,
		commands: everywhere,
		live: true,
		help: "How long new clients are still accepted after the signal to stop, while /ready already answers 503, so that a load balancer in front notices; --shutdown-timeout starts afterwards; 0 = none, or 5 s with --failover delayed. Not used with --failover immediate. An edge's --drain-timeout starts afterwards, too.",
	}),
	drainRate: option({
		flag: "drain-rate",
		key: "drain_rate",
		kind: integer({ min: 1, max: 1_000_000 }),
		default: 5000,
		commands: withGateway,
		live: true,
		help: "How many clients per second and shard may reconnect during a graceful stop, a drain or a rolling restart. They are told at four fifths of this rate, because their own delays bunch them; in a stop faster than that if not all would be told in the first half of --shutdown-timeout.",
	}),
	shutdownTimeoutMs: option({
		flag: "shutdown-timeout",
		key: "timeout",
		kind: duration({ minMs: 1, maxMs: 3_600_000 }),
		default: 30_000,
		commands: withGateway,
		live: true,
		help: "Maximum time for a graceful stop; what is left then is cut off.",
	}),
} as const;

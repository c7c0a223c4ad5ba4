import { Heartbeat } from "@shardcast/wire";
import { duration, integer } from "./option.ts";

/** When children are restarted, and when the supervisor gives up. */
export const supervisionOptions = {
	restartBackoffMinMs: duration({
		flag: "restart-backoff-min",
		default: 250,
		minMs: 1,
		maxMs: 3_600_000,
		commands: ["multi"],
		live: true,
		help: "Pause before the first restart of a process that died; it doubles with each further death.",
	}),
	restartBackoffMaxMs: duration({
		flag: "restart-backoff-max",
		default: 30_000,
		minMs: 1,
		maxMs: 3_600_000,
		commands: ["multi"],
		live: true,
		help: "Longest pause before a restart.",
	}),
	crashLimit: integer({
		flag: "crash-limit",
		default: 5,
		min: 1,
		max: 1000,
		commands: ["multi"],
		live: true,
		help: "Deaths of one process within --crash-window that are borne; one more stops the cluster with exit status 1.",
	}),
	crashWindowMs: duration({
		flag: "crash-window",
		default: 30_000,
		minMs: 100,
		maxMs: 3_600_000,
		commands: ["multi"],
		live: true,
		help: "Time over which deaths are counted, and after which a process that lives counts as stable.",
	}),
	heartbeatTimeoutMs: duration({
		flag: "heartbeat-timeout",
		default: 2500,
		minMs: Heartbeat.timeoutMsMin,
		maxMs: 3_600_000,
		commands: ["multi"],
		live: true,
		help: "Silence after which a process counts as hung, is killed and restarted; heartbeats come five times a second.",
	}),
	readyTimeoutMs: duration({
		flag: "ready-timeout",
		default: 20_000,
		minMs: 100,
		maxMs: 3_600_000,
		commands: ["multi"],
		live: true,
		help: "Time that a process has to become ready before it is killed and restarted.",
	}),
} as const;

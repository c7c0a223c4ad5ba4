import { formatDuration } from "@shardcast/config";
import { duration, oneOf, optional, required } from "../arguments.ts";
import { type AdminCluster, defineVerb, Refused } from "../verb.ts";

const levels = ["debug", "info", "warn", "error", "silent"] as const;
type Level = (typeof levels)[number];

const minMs = 1000;
const maxMs = 86_400_000;

/** A level that holds for some time only. */
interface Temporary {
	readonly level: Level;
	/** What holds afterwards. */
	readonly lasting: Level;
	readonly timer: NodeJS.Timeout;
}

/** One per cluster. */
const temporary = new WeakMap<AdminCluster, Temporary>();

/** All processes use the level at once. It holds until the next reload of a file that says otherwise, or the end of the cluster. */
export const logLevel = defineVerb({
	name: "log-level",
	summary: "Set the minimum level of log lines in all processes, until the cluster stops or a reload sets it.",
	arguments: {
		level: required(oneOf(levels), { help: "Minimum level of log lines that are written." }),
		for: optional(duration({ minMs, maxMs }), { help: "Go back to the level before after this time, such as 10m." }),
	},
	changes: true,
	workers: ["shard", "gateway"],
	example: "log-level debug --for 10m",
	run({ level, for: forMs }, { cluster }) {
		const { logLevel: before } = cluster.config();
		const last = temporary.get(cluster);
		// One temporary level after the other: the first one is not to come back.
		const lasting = last?.level === before ? last.lasting : before;
		set(cluster, level);
		clearTimeout(last?.timer);
		temporary.delete(cluster);
		if (forMs === undefined) return { level, before };
		temporary.set(cluster, { level, lasting, timer: later(cluster, { level, lasting, afterMs: forMs }) });
		return { level, before, afterwards: lasting, until: Date.now() + forMs };
	},
	describe: ({ level, before, afterwards, until }) => {
		const back = until === undefined ? "" : `; ${afterwards} again at ${new Date(until).toISOString()}`;
		return [level === before ? `the log level is ${level}, as before${back}` : `log level ${before} → ${level}${back}`];
	},
});

/** @throws Refused when the processes cannot use it. */
function set(cluster: AdminCluster, level: Level): void {
	try {
		cluster.setConfig(Object.freeze({ ...cluster.config(), logLevel: level }));
	} catch (error) {
		throw new Refused((error as Error).message);
	}
}

/** Goes back, unless somebody has set another level meanwhile. */
function later(
	cluster: AdminCluster,
	{ level, lasting, afterMs }: { readonly level: Level; readonly lasting: Level; readonly afterMs: number },
): NodeJS.Timeout {
	const timer = setTimeout(() => {
		temporary.delete(cluster);
		if (cluster.config().logLevel !== level) return;
		cluster.setConfig(Object.freeze({ ...cluster.config(), logLevel: lasting }));
		cluster.tell("info", `log level ${level} → ${lasting}: the ${formatDuration(afterMs)} of log-level are over`);
	}, afterMs);
	timer.unref();
	return timer;
}

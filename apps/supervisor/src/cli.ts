import { type CommandLineSpec, configKeys, keysOf } from "@shardcast/config";
import { configCheck, configPrint } from "./commands/config.ts";
import { multi } from "./commands/multi.ts";
import { single } from "./commands/single.ts";
import { top } from "./commands/top.ts";
import { version } from "./version.ts";

export const commandLine: CommandLineSpec = {
	name: "shardcast",
	description: "WebSocket broadcast cluster: one pinned shard per core, a balancer that hands connections over, a bus in shared memory.",
	version,
	groups: { config: "Print or check the configuration." },
	commands: [
		{ name: "multi", summary: "Run a cluster: supervisor, balancer and shards.", options: keysOf("multi"), run: multi },
		{ name: "single", summary: "Run one shard in one process, without a balancer.", options: keysOf("single"), run: single },
		{
			name: "top",
			summary: "Show the live counters of a running cluster.",
			options: ["clusterDirectory"],
			ownFlags: [
				{ name: "once", help: "Print the table once and exit; this is the default if the output is not a terminal." },
				{ name: "pid", argument: "<pid>", help: "PID of the supervisor of the cluster to show, if several run." },
			],
			run: top,
		},
		{
			name: "config print",
			summary: "Print all options and where each value came from, as a config file without secrets.",
			options: configKeys,
			ownFlags: [{ name: "json", help: "Print a config file in JSON, without where the values came from." }],
			run: configPrint,
		},
		{ name: "config check", summary: "Check all options without starting anything.", options: configKeys, run: configCheck },
	],
};

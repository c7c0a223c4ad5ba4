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
	groups: { config: "Look at the settings." },
	commands: [
		{ name: "multi", summary: "Run a cluster: supervisor, balancer and shards.", settings: keysOf("multi"), run: multi },
		{ name: "single", summary: "Run one shard in one process, without a balancer.", settings: keysOf("single"), run: single },
		{
			name: "top",
			summary: "Show the live counters of a running cluster.",
			settings: ["clusterDirectory"],
			ownFlags: [
				{ name: "once", help: "Print one table and leave; so does an output that is no terminal." },
				{ name: "pid", argument: "<pid>", help: "The supervisor of the cluster to show, when several run." },
			],
			run: top,
		},
		{
			name: "config print",
			summary: "Print all settings and where each came from, as a config file without its secrets.",
			settings: configKeys,
			ownFlags: [{ name: "json", help: "Print them as a config file in JSON, which does not say where they came from." }],
			run: configPrint,
		},
		{ name: "config check", summary: "Check all settings, and say nothing else.", settings: configKeys, run: configCheck },
	],
};

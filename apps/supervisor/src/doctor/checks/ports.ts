import type { Config, LoadedConfig, NameOf } from "@shardcast/config";
import { ClusterDirectory } from "@shardcast/scoreboard";
import { listenPlaces, portProblems } from "../../preflight/ports.ts";
import { firstShardPort } from "../../preflight/shard-ports.ts";
import { type Finding, fromLine, ok, type Subject, unlessRefused } from "../finding.ts";

const subject: Subject = { id: "ports", area: "ports", why: "the balancer and each shard need a port each" };

/** Whether the cluster could listen. Listens for a moment on each port, and accepts nothing. */
export async function portFindings(config: Config, shards: number, layers: LoadedConfig["layers"], name: NameOf): Promise<Finding[]> {
	return unlessRefused(
		subject,
		async () => {
			const first = firstShardPort(config, shards, layers.basePort.kind !== "default", name);
			return { lines: await portProblems(listenPlaces(config, first, shards, name)), first };
		},
		({ lines, first }) => {
			if (lines.length === 0) return [ok(subject, `${config.lbAddr} and ${first} to ${first + shards - 1} are free`)];
			// Whoever looks at a machine on which the cluster runs wants to know of everything else.
			const [running] = ClusterDirectory.running(config.clusterDirectory).own;
			const status = running === undefined ? "problem" : "warning";
			const who = running === undefined ? "" : ` (the cluster of supervisor ${running.supervisorPid} runs here)`;
			return lines.map((line) => fromLine(subject, status, line.replace("; ", `${who}; `)));
		},
	);
}

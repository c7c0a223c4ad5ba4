import {
	type Address,
	type Config,
	connectionsPerShard,
	kafkaLine,
	parseRedisAddress,
	redisAddressText,
	urlHost,
	usesTls,
} from "@shardcast/config";
import { openToClients, whoPublishes } from "@shardcast/http";
import { formatCpuList } from "@shardcast/process";
import { counted } from "./counted.ts";
import type { Plan } from "./preflight/preflight.ts";

interface BannerFacts {
	readonly version: string;
	readonly plan: Plan;
	/** Most clients by a process's limit of open files; Infinity = no limit. */
	readonly connectionsFit: number;
	/** The balancer's address, with its actual port. */
	readonly balancer: Address;
}

/** The text that `multi` prints on stdout when the cluster serves. */
export function banner({ version, plan, connectionsFit, balancer }: BannerFacts): string {
	const { config, topology, mode, pin } = plan;
	const s = usesTls(config) ? "s" : "";
	const http = `http${s}://${urlHost(balancer)}`;
	const perShard = Math.min(connectionsPerShard(config, topology.shards.length), connectionsFit);
	const rows: [string, string][] = [
		["clients", `ws${s}://${urlHost(balancer)}`],
		["publish", `POST ${http}/api/publish`],
		["health", `${http}/health  ${http}/ready`],
		["console", `${http}/console`],
		["mode", `${mode.mode}: ${mode.why}`],
		...redisRow(config),
		...kafkaRow(kafkaLine(config, topology.shards.length)),
		...topology.shards.map(({ slot, core }): [string, string] => {
			const url = `ws${s}://${urlHost({ host: config.host, port: config.basePort + slot })}`;
			const where = pin(core).kind === "none" ? "not pinned" : `CPU ${core}`;
			return [`shard ${slot}`, `${url}  ${where}  up to ${perShard} clients`];
		}),
	];
	const lines = [`shardcast ${version} on Node ${process.versions.node}, pid ${process.pid}`, ""];
	lines.push(...rows.map(([label, text]) => `  ${label.padEnd(9)} ${text}`), "", `  ${shardsAndCpus(plan)}`, `  ${whoPublishes(config)}`);
	const open = openToClients(config);
	if (open !== null) lines.push(`  ${open}`);
	return `${lines.join("\n")}\n`;
}

function redisRow({ redisAddress }: Config): [string, string][] {
	return redisAddress === undefined ? [] : [["redis", redisAddressText(parseRedisAddress(redisAddress))]];
}

function kafkaRow(line: string | null): [string, string][] {
	return line === null ? [] : [["kafka", line]];
}

function shardsAndCpus({ topology }: Plan): string {
	const { shards, cpus, cpuCount, source, wraps } = topology;
	const basis = `${counted(shards.length, "shard")} on ${counted(cpuCount, "CPU")} of ${formatCpuList(cpus)} (${source})`;
	return wraps ? `${basis}; pins wrap around: some shards share a CPU` : basis;
}

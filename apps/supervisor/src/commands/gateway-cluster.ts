import { type CommandInput, type Config, type ConfigKey, keysOf, type LoadedConfig, optionOf, sections } from "@shardcast/config";
import { GatewaySupervision, gatewayBanner, MonitorReport, newlyOpen, offWithoutRedis, openMode } from "@shardcast/gateway/cluster";
import { formatCpuList } from "@shardcast/process";
import { runCluster, type ServingCluster } from "../run-cluster.ts";

/** Runs a gateway of several processes until it is stopped. */
export async function gatewayCluster({ loaded, input }: CommandInput): Promise<number> {
	process.title = "shardcast supervisor";
	return runCluster({
		...{ command: "gateway", workers: "gateway", loaded: asCluster(loaded), input },
		gateway: (config, slots, log) => new GatewaySupervision({ config, slots, log }),
		opened: newlyOpen,
		onServing: serving,
	});
}

function serving({ plan, supervisor, balancer, gateway, log }: ServingCluster): { stop(): void } {
	const { config, topology } = plan;
	const report = new MonitorReport({
		read: () => supervisor.gatewayReport(),
		everyMs: config.monitorIntervalMs,
		print: (text) => process.stdout.write(text),
	});
	report.start();
	const open = openMode(config);
	if (open !== null) log.warn(open);
	const off = offWithoutRedis(config);
	if (off !== null) log.info(off);
	const processes = `${topology.shards.length} processes on CPUs ${formatCpuList(topology.cpus)}${topology.wraps ? ", which some share" : ""}`;
	// Last, since a reader of the banner may send a signal at once.
	process.stdout.write(gatewayBanner({ config, address: balancer, about: gateway?.about ?? "", processes }));
	return report;
}

/** Sections of options for which the supervisor would do something that a gateway does not need. */
const withoutEffect = ["webhooks", "kafka", "redis", "node", "postgres"] as const;

/**
 * The options of a cluster with such processes. Those that a gateway does not have, but another command with the same file or environment may, are as
 * if they were not given.
 */
function asCluster({ config, layers, ...loaded }: LoadedConfig): LoadedConfig {
	const own = new Set(keysOf("gateway"));
	const keys = withoutEffect.flatMap((section) => Object.keys(sections[section].options) as ConfigKey[]);
	// The list of blocked users there is that of a cluster: only one server may write it.
	keys.push("durableStorePath");
	const unset = Object.fromEntries(keys.filter((key) => !own.has(key)).map((key) => [key, optionOf(key).default])) as Partial<Config>;
	const { gatewayAddr: lbAddr } = config;
	return {
		...loaded,
		config: Object.freeze({ ...config, ...unset, failover: "graceful", lbMode: "handoff", lbAddr }),
		layers: { ...layers, lbAddr: layers.gatewayAddr },
	};
}

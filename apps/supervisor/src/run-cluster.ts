import {
	type Address,
	autoCount,
	type CommandInput,
	type Config,
	ConfigError,
	connectionsPerShard,
	countsConnections,
	historyCapacity,
	type LoadedConfig,
	optionNames,
	parseAddress,
	reportError,
	ringCapacityBytes,
	WithdrawnHistories,
} from "@shardcast/config";
import { CertificateWatch, type CertificateWatchParts, ConfigReloader, RouteReloader, type Workers } from "@shardcast/control";
import type { GatewaySupervision } from "@shardcast/gateway/cluster";
import { NativeError } from "@shardcast/native";
import { availableCpus, cannotListen, StartupError } from "@shardcast/process";
import { BusError, ClusterDirectory } from "@shardcast/scoreboard";
import { createLog, type Log } from "@shardcast/telemetry";
import { Admin } from "./admin/admin.ts";
import type { ReloadReport } from "./admin/verb.ts";
import { entries } from "./children/entries.ts";
import { ClusterMemory } from "./cluster-memory.ts";
import { type ListeningSocket, openListeningSocket } from "./listening-socket.ts";
import { FollowCpus } from "./operations/follow-cpus.ts";
import { type OperationProgress, OperationRefused } from "./operations/operation.ts";
import { openFilesWarnings } from "./preflight/open-files.ts";
import { type Plan, preflight } from "./preflight/preflight.ts";
import { stopOnSignals } from "./signals.ts";
import { Supervisor } from "./supervisor.ts";
import { isSystemError } from "./system-error.ts";
import { autoShards, type Topology } from "./topology.ts";

interface ClusterRun extends Pick<CommandInput, "loaded" | "input"> {
	readonly command: "multi" | "gateway";
	readonly workers: Workers;
	/** What the processes of a gateway need; null for shards. @param slots of the processes. */
	readonly gateway: ((config: Config, slots: readonly number[], log: Log) => GatewaySupervision) | null;
	/** What new options open that was closed before, one line each. */
	readonly opened: (before: Config, after: Config) => readonly string[];
	/** Called when all processes serve. @returns what to do when they are to stop. */
	readonly onServing: (cluster: ServingCluster) => { stop(): void };
}

/** A cluster that serves. */
export interface ServingCluster {
	readonly plan: Plan;
	readonly supervisor: Supervisor;
	/** The balancer's address, with its actual port. */
	readonly balancer: Address;
	readonly gateway: GatewaySupervision | null;
	readonly log: Log;
}

/** Runs a supervisor with a balancer and its workers until it is stopped. @returns the exit status. */
export async function runCluster({ command, workers, loaded, input, ...parts }: ClusterRun): Promise<number> {
	const { logLevel, logFormat, clusterDirectory } = loaded.config;
	const log = createLog({ name: "supervisor", level: logLevel, format: logFormat });

	// First, since dead clusters use memory that the checks count.
	for (const path of ClusterDirectory.removeStale(clusterDirectory)) log.warn(`removed ${path}, left behind by a killed cluster`);
	const plan = await preflight(loaded, workers);
	const { config } = plan;
	for (const warning of plan.warnings) log.warn(warning);

	const memory = createMemory(loaded, plan, workers);
	// Runs however this process ends, except by SIGKILL, so that unexpected errors leave no files either.
	process.once("exit", () => memory.remove());
	const { topology, pin, certificates } = plan;
	const mode = plan.mode.mode;
	const slots = topology.shards.map(({ slot }) => slot);
	const gateway = parts.gateway?.(config, slots, log) ?? null;
	const listening = await openListening(config, command);
	const facts = { config, certificates, topology, mode, memory, workers, entries: entries(workers), gateway, pin, listening };
	const supervisor = new Supervisor(facts, log);
	const tell: CertificateWatchParts["tell"] = (level, text) => supervisor.tell(level, text);
	const certificateWatch = new CertificateWatch({
		config: () => supervisor.config,
		certificates,
		reloads: supervisor.certificateReloads,
		name: optionNames(loaded.layers),
		apply: (next) => supervisor.useCertificates(next),
		log,
		tell,
	});
	const warnOfPlainKey = (options: Config): void => {
		const warning = Admin.warning(options);
		if (warning === null) return;
		log.warn(warning);
		tell("warn", warning);
	};
	warnOfPlainKey(config);
	const withdrawn = new WithdrawnHistories();
	const reloader = new ConfigReloader({
		command,
		input,
		started: loaded.config,
		running: () => supervisor.config,
		apply: (options) => {
			if (mode === "handoff" && options.remoteShards.length > 0)
				throw new ConfigError([
					"remote.shards: connections are handed over, which works on this machine only; restart the cluster to pass some on to other machines",
				]);
			if (options.maxConnections !== supervisor.config.maxConnections) warnOfOpenFiles(options, plan, workers, log);
			const opened = parts.opened(supervisor.config, options);
			if (options.webhooks.length > 0) openEvents(memory);
			const withdraw = withdrawn.prepare(supervisor.config, options);
			const useCertificates = certificateWatch.prepare(options);
			try {
				const { adminKey } = supervisor.config;
				supervisor.reload(options);
				if (options.adminKey !== adminKey) warnOfPlainKey(options);
				withdraw();
				useCertificates();
				for (const line of opened) {
					log.error(line);
					supervisor.tell("bad", line);
				}
			} catch (error) {
				if (!(error instanceof NativeError)) throw error;
				throw new ConfigError([`maxConnectionsPerIp: ${error.message}`]);
			}
		},
		counts: supervisor.reloads,
		log,
		tell,
	});
	const routeReloader = new RouteReloader({
		path: config.kafkaRoute,
		apply: () => supervisor.reloadRoute(),
		log,
		tell,
	});
	const reload = async (): Promise<ReloadReport> => {
		const options = reloader.attempt();
		const [certificates, route] = await Promise.all([certificateWatch.reload(), routeReloader.reload()]);
		return { options, certificates, route };
	};
	stopOnSignals(
		supervisor,
		() => void reload(),
		() => rollingRestart(supervisor, log),
	);
	const follow = workers === "shard" ? followCpus(supervisor, topology, memory, log) : null;
	if (follow !== null) supervisor.useScaling(() => follow.scaling);
	const admin = await Admin.open({
		supervisor,
		memory,
		command,
		workers,
		reload,
		log,
		follow,
		option: optionNames(loaded.layers)("adminSocket"),
	});
	process.once("exit", () => admin.close());
	await supervisor.join();
	supervisor.start();
	certificateWatch.start();
	let serving: { stop(): void } | null = null;
	if (await supervisor.ready) {
		if (loaded.config.shards === autoCount) follow?.start();
		const { port, ...host } = parseAddress(config.lbAddr);
		serving = parts.onServing({ plan, supervisor, balancer: { ...host, port: supervisor.balancerPort ?? port }, gateway, log });
	}
	const { status, failure } = await supervisor.finished;
	serving?.stop();
	follow?.stop();
	certificateWatch.stop();
	if (failure !== null) reportError("shardcast", failure);
	return status;
}

function followCpus(supervisor: Supervisor, topology: Topology, memory: ClusterMemory, log: Log): FollowCpus {
	return new FollowCpus({
		cpuCount: () => Math.min(autoShards(topology, supervisor.config, availableCpus()), memory.board.slotsMax),
		shardCount: () => supervisor.shardCount,
		scale: (count) => supervisor.operations.scale(count),
		log,
		tell: (level, text) => supervisor.tell(level, text),
	});
}

/** Its end, good or bad, is logged by the operation; a refusal is not. */
function rollingRestart({ operations }: Supervisor, log: Log): void {
	const onProgress = ({ text }: OperationProgress) => log.info(`rolling restart: ${text}`);
	operations.rollingRestart({ onProgress }).catch((error: Error) => {
		if (error instanceof OperationRefused) log.error(`no rolling restart: ${error.message}`);
	});
}

/** @throws StartupError when the address cannot be used. */
async function openListening({ lbAddr }: Config, command: ClusterRun["command"]): Promise<ListeningSocket> {
	const address = parseAddress(lbAddr);
	try {
		return await openListeningSocket(address);
	} catch (error) {
		throw cannotListen(error, address, command === "multi" ? "--lb-addr" : "--gateway-addr");
	}
}

/** @throws ConfigError when there is not enough room for webhooks. */
function openEvents(memory: ClusterMemory): void {
	try {
		memory.eventReaders();
	} catch (error) {
		if (!(error instanceof NativeError)) throw error;
		throw new ConfigError([`webhooks: ${error.message}`]);
	}
}

function warnOfOpenFiles(config: Config, { topology, mode }: Plan, workers: Workers, log: Log): void {
	const perShard = connectionsPerShard(config, topology.shards.length);
	const wanted = { connections: config.maxConnections, connectionsPerShard: perShard, mode: mode.mode, workers };
	for (const warning of openFilesWarnings(wanted)) log.warn(warning);
}

/** The checks have found enough room, so an error here means that this has changed since, or was not foreseen. */
function createMemory({ config, layers }: LoadedConfig, plan: Plan, workers: Workers): ClusterMemory {
	let memory: ClusterMemory | null = null;
	try {
		const shards = plan.topology.shards.length;
		memory = ClusterMemory.create(config.clusterDirectory, {
			shards,
			ringCapacityBytes: ringCapacityBytes(config),
			history: workers === "shard" ? historyCapacity(config) : null,
			positions: config.kafkaBrokers.length > 0,
		});
		if (plan.mode.mode === "handoff") memory.openHandoffs();
		if (countsConnections(config)) memory.countAddresses(config.maxConnections);
		if (config.webhooks.length > 0) memory.eventReaders();
		return memory;
	} catch (error) {
		memory?.remove();
		if (!(error instanceof BusError || isSystemError(error))) throw error;
		throw new StartupError(`${optionNames(layers)("clusterDirectory")}: ${error.message}`, { exitStatus: 2, cause: error });
	}
}

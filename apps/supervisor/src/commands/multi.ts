import {
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
import { CertificateWatch, type CertificateWatchParts, ConfigReloader, RouteReloader } from "@shardcast/control";
import { newlyOpen } from "@shardcast/http";
import { NativeError } from "@shardcast/native";
import { clientsThatFit, StartupError } from "@shardcast/process";
import { BusError, ClusterDirectory } from "@shardcast/scoreboard";
import { createLog, type Log } from "@shardcast/telemetry";
import { banner } from "../banner.ts";
import { entries } from "../children/entries.ts";
import { ClusterMemory } from "../cluster-memory.ts";
import { openFilesWarnings } from "../preflight/open-files.ts";
import { type Plan, preflight } from "../preflight/preflight.ts";
import { stopOnSignals } from "../signals.ts";
import { Supervisor } from "../supervisor.ts";
import { isSystemError } from "../system-error.ts";
import { version } from "../version.ts";

/** Runs a cluster until it is stopped. */
export async function multi({ loaded, input }: CommandInput): Promise<number> {
	process.title = "shardcast supervisor";
	const { logLevel, logFormat, clusterDirectory } = loaded.config;
	const log = createLog({ name: "supervisor", level: logLevel, format: logFormat });

	// First, since dead clusters use memory that the checks count.
	for (const path of ClusterDirectory.removeStale(clusterDirectory)) log.warn(`removed ${path}, left behind by a killed cluster`);
	const plan = await preflight(loaded);
	const { config } = plan;
	for (const warning of plan.warnings) log.warn(warning);

	const memory = createMemory(loaded, plan);
	// Runs however this process ends, except by SIGKILL, so that unexpected errors leave no files either.
	process.once("exit", () => memory.remove());
	const { topology, pin, certificates } = plan;
	const mode = plan.mode.mode;
	const supervisor = new Supervisor({ config, certificates, topology, mode, memory, entries: entries(), pin }, log);
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
	const withdrawn = new WithdrawnHistories();
	const reloader = new ConfigReloader({
		command: "multi",
		input,
		started: loaded.config,
		running: () => supervisor.config,
		apply: (options) => {
			if (options.maxConnections !== supervisor.config.maxConnections) warnOfOpenFiles(options, plan, log);
			const opened = newlyOpen(supervisor.config, options);
			if (options.webhooks.length > 0) openEvents(memory);
			const withdraw = withdrawn.prepare(supervisor.config, options);
			const useCertificates = certificateWatch.prepare(options);
			try {
				supervisor.reload(options);
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
	stopOnSignals(supervisor, () => {
		reloader.reload();
		certificateWatch.reload();
		void routeReloader.reload();
	});
	await supervisor.join();
	supervisor.start();
	certificateWatch.start();
	if (await supervisor.ready) {
		const { port, ...host } = parseAddress(config.lbAddr);
		process.stdout.write(
			banner({ version, plan, connectionsFit: clientsThatFit(), balancer: { ...host, port: supervisor.balancerPort ?? port } }),
		);
	}
	const { status, failure } = await supervisor.finished;
	certificateWatch.stop();
	if (failure !== null) reportError("shardcast", failure);
	return status;
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

function warnOfOpenFiles(config: Config, { topology, mode }: Plan, log: Log): void {
	const perShard = connectionsPerShard(config, topology.shards.length);
	const wanted = { connections: config.maxConnections, connectionsPerShard: perShard, mode: mode.mode };
	for (const warning of openFilesWarnings(wanted)) log.warn(warning);
}

/** The checks have found enough room, so an error here means that this has changed since, or was not foreseen. */
function createMemory({ config, layers }: LoadedConfig, plan: Plan): ClusterMemory {
	let memory: ClusterMemory | null = null;
	try {
		const shards = plan.topology.shards.length;
		memory = ClusterMemory.create(config.clusterDirectory, {
			shards,
			ringCapacityBytes: ringCapacityBytes(config),
			history: historyCapacity(config),
			positions: config.kafkaBrokers.length > 0,
		});
		if (plan.mode.mode === "handoff") memory.openHandoffs();
		if (countsConnections(config)) memory.countAddresses(connectionsPerShard(config, shards));
		if (config.webhooks.length > 0) memory.eventReaders();
		return memory;
	} catch (error) {
		memory?.remove();
		if (!(error instanceof BusError || isSystemError(error))) throw error;
		throw new StartupError(`${optionNames(layers)("clusterDirectory")}: ${error.message}`, { exitStatus: 2, cause: error });
	}
}

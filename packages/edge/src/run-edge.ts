import {
	type CommandInput,
	ConfigError,
	formatDuration,
	loadCertificates,
	optionNames,
	parseAddress,
	urlHost,
	usesTls,
} from "@shardcast/config";
import { runUntilSignal } from "@shardcast/control";
import { createLog } from "@shardcast/telemetry";
import { Edge } from "./edge.ts";

/** Runs an edge until a signal stops it. SIGHUP reloads options and certificates. @throws StartupError */
export async function runEdge({ loaded, input }: Pick<CommandInput, "loaded" | "input">): Promise<void> {
	process.title = "shardcast edge";
	const { config, layers } = loaded;
	const name = optionNames(layers);
	const isGiven = { nodes: config.edgeNodes.length > 0, redis: config.redisAddress !== undefined };
	if (!isGiven.nodes && !isGiven.redis)
		throw new ConfigError([
			`${name("edgeNodes")}: there are no nodes; name them, or the Redis in which they join with ${name("redisAddress")}`,
		]);
	if (isGiven.nodes && isGiven.redis)
		throw new ConfigError([`${name("edgeNodes")}: the nodes are those in Redis (${name("redisAddress")}); remove one of the two`]);
	const log = createLog({ name: "edge", level: config.logLevel, format: config.logFormat });
	const { certificates, warnings } = loadCertificates(config, name);
	for (const warning of [...loaded.warnings, ...warnings]) log.warn(warning);
	const edge = new Edge({ config, certificates, log });
	const port = await edge.start();
	const onStop = (signal: string): void => {
		const { connections } = edge;
		const { drainDelayMs } = edge.config;
		const stillTaken = drainDelayMs === 0 ? "" : ` new clients are accepted for another ${formatDuration(drainDelayMs)};`;
		log.info(
			{ connections },
			`shutting down: ${signal};${stillTaken} ${connections} connections may go on for ${formatDuration(edge.config.edgeDrainTimeoutMs)}`,
		);
	};
	runUntilSignal({ command: "edge", input, certificates, name, server: edge, onStop, log });
	const s = usesTls(config) ? "s" : "";
	const host = urlHost({ ...parseAddress(config.edgeAddr), port });
	// Last, since a reader of the banner may send a signal at once.
	process.stdout.write(
		`shardcast edge, pid ${process.pid}: ws${s}://${host}, http${s}://${host}/health; to ${edge.about}, ${config.selectStrategy}\n`,
	);
}

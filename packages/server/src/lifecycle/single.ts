import { type Config, type ConfigInput, formatDuration, kafkaLine, parseAddress, stopDelayMs, urlHost, usesTls } from "@shardcast/config";
import { openToClients, whoPublishes } from "@shardcast/http";
import { exitOnSignals } from "@shardcast/process";
import { createLog, type Log, shapeOf } from "@shardcast/telemetry";
import { createServer } from "../library/server.ts";

/**
 * Runs one shard as a separate program: no supervisor, no balancer, no shared memory. It stops on a signal, and reloads all options on SIGHUP.
 * @param given.input the sources of the options.
 */
export async function runSingle({ config, input }: { readonly config: Config; readonly input: ConfigInput }): Promise<void> {
	process.title = "shardcast single";
	const log = createLog({ name: "shardcast", level: config.logLevel, format: config.logFormat });
	const server = createServer(config, { log, statusLine: statusLine(config, log) });
	await server.run();
	const reloader = server.reloader(input);
	const stopInOrder = async (reason: string, strategy = server.config.failover): Promise<number> => {
		const { connections } = server.control.stats();
		const { shutdownTimeoutMs } = server.config;
		const drainDelayMs = stopDelayMs(strategy, server.config.drainDelayMs);
		const stillTaken = drainDelayMs === 0 ? "" : `; new clients are accepted for another ${formatDuration(drainDelayMs)}`;
		const fields = { connections, drainDelayMs, timeoutMs: shutdownTimeoutMs };
		log.info(fields, `shutting down: ${reason}; ${connections} connections${stillTaken}`);
		const beganMs = performance.now();
		const cutOff = await server.shutdown(undefined, strategy);
		const took = `${((performance.now() - beganMs) / 1000).toFixed(1)} s`;
		if (cutOff === 0) log.info({ cutOff }, `shutdown complete: nothing was cut off, ${took}`);
		else log.warn({ cutOff }, `shutdown complete: ${cutOff} cut off, ${took}`);
		return cutOff === 0 ? 0 : 1;
	};
	exitOnSignals({
		stop: stopInOrder,
		reload: () => {
			reloader.reload();
			server.control.reloadCertificates();
			// Errors were already logged.
			server.control.reloadRoute().catch(() => undefined);
		},
		log,
	});
	server.on("failover", (strategy) => void stopInOrder("a failover was ordered", strategy).then((status) => process.exit(status)));
	// Last, since a reader of the banner may send a signal at once.
	process.stdout.write(banner(config, server.port));
}

/** Where the status line goes: to stdout with text logs, unless a lower log level is set; with JSON logs, to the debug log. */
function statusLine({ logFormat }: Config, log: Log): (line: string) => void {
	if (shapeOf(logFormat) === "json") return (line) => log.debug(line);
	return (line) => {
		if (log.level === "info" || log.level === "debug") process.stdout.write(`${line}\n`);
	};
}

function banner(config: Config, port: number): string {
	const host = urlHost({ ...parseAddress(config.addr), port });
	const s = usesTls(config) ? "s" : "";
	const urls = `ws${s}://${host}, POST http${s}://${host}/api/publish, http${s}://${host}/health`;
	const kafka = kafkaLine(config, 1);
	const lines = [
		`shardcast single, pid ${process.pid}: ${urls}; ${whoPublishes(config)}`,
		openToClients(config),
		kafka === null ? null : `kafka: ${kafka}`,
	];
	return lines.map((line) => (line === null ? "" : `${line}\n`)).join("");
}

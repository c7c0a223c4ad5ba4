import { type CommandInput, type Config, formatDuration, loadCertificates, optionNames, parseAddress } from "@shardcast/config";
import { runUntilSignal } from "@shardcast/control";
import { keepCollectionsOnOwnThread } from "@shardcast/process";
import { createLog } from "@shardcast/telemetry";
import { gatewayBanner } from "./banner.ts";
import { Gateway } from "./gateway.ts";
import { newlyOpen, offWithoutRedis, openMode } from "./gateway-access.ts";
import { MonitorReport } from "./monitor/monitor-report.ts";

/** Runs a gateway until a signal stops it. SIGHUP reloads options and certificates. @throws StartupError */
export async function runGateway({ loaded, input }: Pick<CommandInput, "loaded" | "input">): Promise<void> {
	process.title = "shardcast gateway";
	keepCollectionsOnOwnThread();
	const { config, layers } = loaded;
	const name = optionNames(layers);
	const log = createLog({ name: "gateway", level: config.logLevel, format: config.logFormat });
	const { certificates, warnings } = loadCertificates(config, name);
	for (const warning of [...loaded.warnings, ...warnings]) log.warn(warning);
	const gateway = new Gateway({ config, certificates, log });
	const port = await gateway.start();
	const report = new MonitorReport({
		read: () => gateway.report(),
		everyMs: config.monitorIntervalMs,
		print: (text) => process.stdout.write(text),
	});
	const onReload = (before: Config, after: Config): void => {
		for (const line of newlyOpen(before, after)) log.error(line);
	};
	const onStop = (signal: string): void => {
		const { clients } = gateway;
		const { drainDelayMs, shutdownTimeoutMs } = gateway.config;
		const stillTaken = drainDelayMs === 0 ? "" : `; new clients are accepted for another ${formatDuration(drainDelayMs)}`;
		log.info(
			{ clients, drainDelayMs, timeoutMs: shutdownTimeoutMs },
			`shutting down: ${signal}; ${clients} client${clients === 1 ? "" : "s"}${stillTaken}`,
		);
		report.stop();
	};
	runUntilSignal({ command: "gateway", input, certificates, name, server: gateway, onReload, onStop, log });
	report.start();
	const open = openMode(config);
	if (open !== null) log.warn(open);
	const off = offWithoutRedis(config);
	if (off !== null) log.info(off);
	// Last, since a reader of the banner may send a signal at once.
	const address = { ...parseAddress(config.gatewayAddr), port };
	process.stdout.write(gatewayBanner({ config, address, about: gateway.about, processes: null }));
}

import {
	authRequired,
	type CommandInput,
	type Config,
	ConfigError,
	formatDuration,
	hasTokenKey,
	loadCertificates,
	optionNames,
	parseAddress,
	urlHost,
	usesTls,
} from "@shardcast/config";
import { runUntilSignal } from "@shardcast/control";
import { createLog } from "@shardcast/telemetry";
import { Gateway } from "./gateway.ts";
import { MonitorReport } from "./monitor/monitor-report.ts";

/** Runs a gateway until a signal stops it. SIGHUP reloads options and certificates. @throws StartupError */
export async function runGateway({ loaded, input }: Pick<CommandInput, "loaded" | "input">): Promise<void> {
	process.title = "shardcast gateway";
	const { config, layers } = loaded;
	const name = optionNames(layers);
	if (config.gatewayBackends.length === 0 && !config.discover)
		throw new ConfigError([
			`${name("gatewayBackends")}: there are no backends; name them, as in "shardcast gateway 3020 127.0.0.1:9001", or let them announce themselves with ${name("discover")}`,
		]);
	// Not a rule of the options: other commands may have the secret in their environment.
	const unused = config.discover ? undefined : (["discoverySecret", "discoveryNetworks"] as const).find((key) => isGiven(config[key]));
	if (unused !== undefined) throw new ConfigError([`${name(unused)}: has no effect without ${name("discover")}; add that`]);
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
	const onReload = (options: Config): void => {
		const open = openMode(options);
		if (open !== null) log.warn(open);
	};
	const onStop = (signal: string): void => {
		const { clients } = gateway;
		const { drainDelayMs, shutdownTimeoutMs } = gateway.config;
		const stillTaken = drainDelayMs === 0 ? "" : `; new clients are accepted for another ${formatDuration(drainDelayMs)}`;
		log.info({ clients, drainDelayMs, timeoutMs: shutdownTimeoutMs }, `shutting down: ${signal}; ${clients} clients${stillTaken}`);
		report.stop();
	};
	runUntilSignal({ command: "gateway", input, certificates, name, server: gateway, onReload, onStop, log });
	report.start();
	const s = usesTls(config) ? "s" : "";
	const host = urlHost({ ...parseAddress(config.gatewayAddr), port });
	const open = openMode(config);
	if (open !== null) log.warn(open);
	// Last, since a reader of the banner may send a signal at once.
	process.stdout.write(
		`shardcast gateway, pid ${process.pid}: ws${s}://${host}, http${s}://${host}/health; to ${gateway.about}; ${access(config)}\n`,
	);
}

function isGiven(value: string | readonly string[] | undefined): boolean {
	return value !== undefined && value.length > 0;
}

/** What everyone may do who reaches the gateway; null = clients must show a token. */
function openMode(config: Config): string | null {
	if (authRequired(config) && !config.allowAnonymousConnect) return null;
	const closes = authRequired(config)
		? "--no-allow-anonymous-connect closes it"
		: "a key for tokens (client.token, such as --token-hmac-secret) closes it";
	return `open mode: every client that reaches this gateway can send frames to its backends, and gets theirs; ${closes}`;
}

function access(config: Config): string {
	if (openMode(config) !== null) return "open mode: no client needs a token";
	return hasTokenKey(config)
		? "clients need a token"
		: "no client can connect: authentication is required, and there is no key for tokens; set one, such as --token-hmac-secret, or --no-require-auth";
}

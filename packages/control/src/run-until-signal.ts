import type { Certificate, Config, ConfigInput, NameOf, ServingCommand } from "@shardcast/config";
import { exitOnSignals } from "@shardcast/process";
import type { Log } from "@shardcast/telemetry";
import { type CertificateReloads, CertificateWatch } from "./certificate-watch.ts";
import { ConfigReloader, type ReloadCounts } from "./reloader.ts";

/** A server that is one process, without a console of its cluster's events. */
interface OneProcessServer {
	/** The options that are in force. */
	readonly config: Config;
	readonly reloads: ReloadCounts;
	readonly certificateReloads: CertificateReloads;
	/** Applies the options that may change while it serves. @throws when it cannot; then nothing has changed. */
	reload(config: Config): void;
	/** @throws when one cannot be used. Then nothing has changed. */
	useCertificates(certificates: readonly Certificate[]): void;
	/** Finishes what is in progress, and stops. @returns how much was cut off. */
	drain(): Promise<number>;
}

interface RunUntilSignalParts {
	readonly command: ServingCommand;
	readonly input: ConfigInput;
	/** The certificates at the start. */
	readonly certificates: readonly Certificate[];
	readonly name: NameOf;
	/** It serves already, with the options of the start. */
	readonly server: OneProcessServer;
	/** Called when new options are in force. */
	readonly onReload?: (before: Config, after: Config) => void;
	/** Called with the signal's name before the server drains. */
	readonly onStop: (signal: string) => void;
	readonly log: Log;
}

/** Reloads options and certificates on SIGHUP, and certificates when their files change. Other signals stop the server in order, then the process. */
export function runUntilSignal(parts: RunUntilSignalParts): void {
	const { command, input, certificates, name, server, onReload, onStop, log } = parts;
	const tell = () => {};
	const certificateWatch = new CertificateWatch({
		config: () => server.config,
		certificates,
		reloads: server.certificateReloads,
		name,
		apply: (next) => server.useCertificates(next),
		log,
		tell,
	});
	const reloader = new ConfigReloader({
		command,
		input,
		started: server.config,
		running: () => server.config,
		apply: (options) => {
			const { config: before } = server;
			const useCertificates = certificateWatch.prepare(options);
			server.reload(options);
			useCertificates();
			onReload?.(before, options);
		},
		counts: server.reloads,
		log,
		tell,
	});
	exitOnSignals({
		stop: async (signal) => {
			onStop(signal);
			certificateWatch.stop();
			const cutOff = await server.drain();
			log[cutOff === 0 ? "info" : "warn"]({ cutOff }, `shutdown complete: ${cutOff === 0 ? "nothing was" : cutOff} cut off`);
			return cutOff === 0 ? 0 : 1;
		},
		reload: () => {
			reloader.reload();
			void certificateWatch.reload();
		},
		log,
	});
	certificateWatch.start();
}

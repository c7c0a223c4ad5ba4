import { type Config, createLog, type Log, parseAddress, urlHost } from "@shardcast/service";
import { createServer } from "./library/index.ts";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** One shard as a program of its own: no supervisor, no balancer, no shared memory; it stops on a signal. */
export async function runSingle(config: Config): Promise<void> {
	process.title = "shardcast single";
	const log = createLog({ name: "shardcast", level: config.logLevel, format: config.logFormat });
	const server = createServer(config, { log, statusLine: (line) => log.info(line) });
	await server.run();
	process.stdout.write(banner(config, server.port));
	stopOnSignals(log, async (reason) => {
		const { connections } = server.control.stats();
		const timeoutMs = config.shutdownTimeoutMs;
		log.info({ connections, timeoutMs }, `shutting down: ${reason}; ${connections} connections`);
		const beganMs = performance.now();
		const cutOff = await server.shutdown();
		const took = `${((performance.now() - beganMs) / 1000).toFixed(1)} s`;
		if (cutOff === 0) log.info({ cutOff }, `shutdown complete: nothing was cut off, ${took}`);
		else log.warn({ cutOff }, `shutdown complete: ${cutOff} cut off, ${took}`);
		return cutOff === 0 ? 0 : 1;
	});
}

/** The first signal stops in order, the second forces. */
function stopOnSignals(log: Log, stopInOrder: (reason: string) => Promise<number>): void {
	let stopping = false;
	for (const signal of signals) {
		process.on(signal, () => {
			if (stopping) {
				log.warn(`forced to stop: second signal (${signal})`);
				process.exit(1);
			}
			stopping = true;
			void stopInOrder(signal).then((status) => process.exit(status));
		});
	}
}

function banner(config: Config, port: number): string {
	const host = urlHost({ ...parseAddress(config.addr), port });
	const open = config.apiKey === undefined ? "; open mode: there is no --api-key, so everyone who reaches this port can publish" : "";
	return `shardcast single, pid ${process.pid}: ws://${host}, POST http://${host}/api/publish, http://${host}/health${open}\n`;
}

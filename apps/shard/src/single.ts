import { ClusterState, MemoryBus, readBoard, Scoreboard } from "@shardcast/bus";
import {
	type Address,
	type Config,
	createLog,
	type Log,
	MetricsCollector,
	ProcessMetrics,
	ProcessMonitor,
	parseAddress,
	ringCapacityBytes,
	urlHost,
	withDeadline,
} from "@shardcast/service";
import { cannotListen } from "./cannot-listen.ts";
import { ShardIngest } from "./ingest/shard-ingest.ts";
import { Shard } from "./shard.ts";
import { StatusLine } from "./status-line.ts";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** One shard as a program of its own: no supervisor, no balancer, no shared memory; it stops on a signal. */
export async function runSingle(config: Config): Promise<void> {
	process.title = "shardcast single";
	const log = createLog({ name: "shardcast", level: config.logLevel, format: config.logFormat });
	const board = Scoreboard.inMemory(1);
	const row = board.row(0);
	row.present = true;
	row.core = -1;
	row.incarnation = 1;
	row.pid = process.pid;
	row.connectionsMax = config.maxConnections;
	const monitor = new ProcessMonitor();
	monitor.start();
	const own = new ProcessMetrics("shard-0", 0);
	const metrics = new MetricsCollector({ sources: () => [], board: () => readBoard(board), own });
	const address = parseAddress(config.addr);
	const bus = new MemoryBus({ members: 1, capacityBytes: ringCapacityBytes(config) }).link(0);
	const shard: Shard = new Shard({
		config,
		board,
		row,
		bus,
		ingest: ShardIngest.create({ config, slot: 0, incarnation: 1, shardsTotal: 1, cluster: null, bus, log, row, metrics: own }),
		address,
		connectionsMax: config.maxConnections,
		handoff: null,
		isProxy: null,
		log,
		sample: () => monitor.sample(),
		metrics: () => metrics.collect(),
		consoleAnswer: async (channels) => ({ events: [], subscribers: shard.subscribers(channels) }),
	});
	await shard.start().catch((error: unknown) => {
		throw cannotListen(error, config.addr, "--addr");
	});
	row.port = shard.port;
	board.clusterState = ClusterState.serving;
	process.stdout.write(banner(config, { ...address, port: shard.port }));
	const connections = () => row.webSockets;
	const statusLine = new StatusLine({ connections, messages: () => row.get("messagesIn"), print: (line) => log.info(line) });
	statusLine.start();
	stopOnSignals(log, async (reason) => {
		board.clusterState = ClusterState.stopping;
		statusLine.stop();
		const timeoutMs = config.shutdownTimeoutMs;
		log.info({ connections: connections(), timeoutMs }, `shutting down: ${reason}; ${connections()} connections`);
		return stop(shard, timeoutMs, log);
	});
}

/** Stops in order; the exit status. */
async function stop(shard: Shard, timeoutMs: number, log: Log): Promise<number> {
	const beganMs = performance.now();
	// A drain that is late has cut off something, if we cannot say how much.
	const cutOff = await withDeadline(shard.drain(timeoutMs), timeoutMs, "draining").catch(() => 1);
	await shard.stop();
	const took = `${((performance.now() - beganMs) / 1000).toFixed(1)} s`;
	if (cutOff === 0) log.info({ cutOff }, `shutdown complete: nothing was cut off, ${took}`);
	else log.warn({ cutOff }, `shutdown complete: ${cutOff} cut off, ${took}`);
	return cutOff === 0 ? 0 : 1;
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

function banner(config: Config, address: Address): string {
	const host = urlHost(address);
	const open = config.apiKey === undefined ? "; open mode: there is no --api-key, so everyone who reaches this port can publish" : "";
	return `shardcast single, pid ${process.pid}: ws://${host}, POST http://${host}/api/publish, http://${host}/health${open}\n`;
}

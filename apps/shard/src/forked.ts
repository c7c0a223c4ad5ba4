import { SharedMemoryBus } from "@shardcast/bus";
import { ChannelLog } from "@shardcast/channel-log";
import type { Certificate, Config } from "@shardcast/config";
import { type ChildControl, connectToParent, joinCluster, PartAnswers, type StartMessage } from "@shardcast/control";
import { ShardIngest } from "@shardcast/kafka";
import { AddressTable, RateTable } from "@shardcast/limits";
import { DescriptorChannel, dieWithParent, SharedFile } from "@shardcast/native";
import { cannotListen, clientsThatFit, ProcessMonitor } from "@shardcast/process";
import { openRedis, proxyTokenCheck, Shard, StatusLine } from "@shardcast/server";
import { EventWriter, openEventRing } from "@shardcast/webhooks";
import { monotonicMs, useChannelHashKey } from "@shardcast/wire";

/** A shard as a child of the supervisor, which starts, drains and restarts it. */
export function runForked(): void {
	dieWithParent();
	let started: {
		readonly shard: Shard;
		reload(config: Config): void;
		reloadRoute(): void;
		useCertificates(certificates: readonly Certificate[]): void;
	} | null = null;
	const parts = new PartAnswers();
	const control = connectToParent({
		parts,
		start: async (message) => {
			started = await startShard(message, control, parts);
			return { port: started.shard.port };
		},
		reload: (config) => started?.reload(config),
		useCertificates: (certificates) => started?.useCertificates(certificates),
		reloadRoute: () => started?.reloadRoute(),
		drain: async (deadlineMs, immediate) => {
			if (started === null) return { cutOff: 0 };
			// No timeout here: `drain` observes the deadline itself, and the supervisor kills a shard that does not end.
			return { cutOff: await started.shard.drain(deadlineMs, immediate) };
		},
		stop: async () => started?.shard.stop(),
	});
}

async function startShard(message: StartMessage, control: ChildControl, parts: PartAnswers) {
	const { slot, incarnation, shardsTotal, config, certificates, mode, handoffDescriptors } = message;
	const { directory, board, log, metrics } = joinCluster(message, `shard ${slot}`, parts);
	useChannelHashKey(board.channelHashKey);
	const row = board.row(slot);
	const monitor = new ProcessMonitor();
	monitor.start();
	const port = config.basePort + slot;
	const [handoff] = handoffDescriptors;
	const bus = SharedMemoryBus.join(directory, board, slot);
	const isPaused = () => board.guards.pauses(monotonicMs());
	const ingest = ShardIngest.create({ config, slot, incarnation, shardsTotal, cluster: { directory, board }, bus, log, row, isPaused });
	const redis = openRedis(config, `shard-${slot}`, log);
	const shard = new Shard({
		config,
		board,
		row,
		connectionsFit: clientsThatFit(),
		bus,
		openHistory: (committed) => ChannelLog.open(directory.path, { slot, incarnation }, { committed }),
		ingest,
		certificates,
		redis,
		address: { host: config.host, port },
		handoff: handoff === undefined ? null : DescriptorChannel.inherited(handoff, directory.handoffPath(slot)),
		rates: new RateTable(SharedFile.open(directory.ratesPath).buffer),
		openAddresses: () => new AddressTable(SharedFile.open(directory.addressesPath).buffer),
		openClientEvents: () => new EventWriter(openEventRing(directory.path, slot)),
		isProxy: mode === "proxy" ? proxyTokenCheck(directory.proxyToken) : null,
		log,
		sample: (beatLateMs) => monitor.sample(beatLateMs),
		ask: control.ask,
		parts,
		metrics,
	});
	await shard.start().catch((error: unknown) => {
		throw cannotListen(error, { host: config.host, port }, "--base-port");
	});
	const statusLine = new StatusLine({
		connections: () => row.webSockets,
		messages: () => row.get("messagesIn"),
		print: (line) => log.debug(line),
		onError: (error) => log.debug({ error }, "could not print the status line"),
	});
	const talk = () => (log.level === "debug" ? statusLine.start() : statusLine.stop());
	talk();
	const reload = (options: Config) => {
		// First, since it may fail.
		shard.reload(options);
		log.level = options.logLevel;
		talk();
	};
	const useCertificates = (next: readonly Certificate[]) => shard.useCertificates(next);
	return { shard, reload, reloadRoute: () => ingest?.reloadRoute(), useCertificates };
}

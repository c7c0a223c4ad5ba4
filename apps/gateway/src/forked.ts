import { SharedMemoryBus } from "@shardcast/bus";
import {
	adminQuestion,
	type ChildControl,
	connectToParent,
	gatewayQuestion,
	joinCluster,
	metricsQuestion,
	PartAnswers,
	type StartMessage,
} from "@shardcast/control";
import { Gateway } from "@shardcast/gateway/member";
import { AddressTable, RateTable } from "@shardcast/limits";
import { DescriptorChannel, dieWithParent, SharedFile } from "@shardcast/native";
import { keepCollectionsOnOwnThread, ProcessMonitor } from "@shardcast/process";
import { useChannelHashKey } from "@shardcast/wire";

/** A process of a gateway, as a child of the supervisor, which starts, drains and restarts it. */
export function runForked(): void {
	dieWithParent();
	keepCollectionsOnOwnThread();
	let gateway: Gateway | null = null;
	const parts = new PartAnswers();
	const control = connectToParent({
		parts,
		start: async (message) => {
			gateway = await startGateway(message, control, parts);
			return {};
		},
		reload: (config) => gateway?.reload(config),
		useCertificates: (certificates) => gateway?.useCertificates(certificates),
		useBackends: (backends) => gateway?.useBackends(backends),
		// No timeout here: `finish` observes the deadline itself, and the supervisor kills a process that does not end.
		drain: async (deadlineMs) => ({ cutOff: (await gateway?.finish(deadlineMs)) ?? 0 }),
	});
}

async function startGateway(message: StartMessage, control: ChildControl, parts: PartAnswers): Promise<Gateway> {
	const { slot, config, certificates, handoffDescriptors, backends } = message;
	const { directory, board, log, metrics } = joinCluster(message, `gateway ${slot}`, parts);
	// The limit per user counts users by this hash.
	useChannelHashKey(board.channelHashKey);
	const monitor = new ProcessMonitor();
	monitor.start();
	const [handoff] = handoffDescriptors;
	const gateway = new Gateway({
		config,
		certificates,
		log,
		member: {
			board,
			slot,
			bus: SharedMemoryBus.join(directory, board, slot),
			handoff: DescriptorChannel.inherited(handoff!, directory.handoffPath(slot)),
			rates: new RateTable(SharedFile.open(directory.ratesPath).buffer),
			openAddresses: () => new AddressTable(SharedFile.open(directory.addressesPath).buffer),
			backends,
			metrics,
			sample: (beatLateMs) => monitor.sample(beatLateMs),
			ask: control.ask,
			parts,
			report: () => control.ask(gatewayQuestion, null),
			admin: (call) => control.ask(adminQuestion(), call),
			collectMetrics: () => control.ask(metricsQuestion, null),
		},
	});
	parts.add(gatewayQuestion, () => gateway.report());
	await gateway.start();
	return gateway;
}

import type { GatewayReading } from "@shardcast/control";
import type { LaneCounters } from "../lanes/lane-counters.ts";
import type { GatewayHub } from "../routing/gateway-hub.ts";

/** What passes between the processes of a gateway; null = there is only one. */
export function busReport({ streams, peers }: Pick<GatewayHub, "streams" | "peers">): GatewayReading["bus"] {
	if (streams === null || peers === null) return null;
	const { counts } = streams;
	const peer = peers.counts;
	return {
		peers: counts.found - counts.lost,
		records: { sent: counts.sentRecords, received: counts.receivedRecords },
		bytes: { sent: counts.sentBytes, received: counts.receivedBytes },
		troubles: {
			ring_full: counts.ringFull,
			stale: counts.stale,
			malformed: counts.malformed + peer.unknownMessage,
			refused: counts.refused,
			violation: counts.violations,
			unsent: counts.unsent + peer.unrefused,
			foreign_client: peer.foreignClient,
			too_many_clients: peer.tooManyClients,
			no_backend: peer.noBackend,
			backlog: peer.backlog,
		},
	};
}

/** The queues of frames for other processes: those of clients here, and those of backends here. */
export function queuesToPeers(
	{ backends, peers }: Pick<GatewayHub, "backends" | "peers">,
	kind: "control" | "data",
): Readonly<LaneCounters>[] {
	const remote = [...backends.all].filter(({ own }) => own === null).map(({ link }) => link.outbox.queue.counters[kind]);
	return peers === null ? remote : [...remote, peers.queues[kind]];
}

import type { GatewayReading } from "@shardcast/control";
import type { BoardRow } from "@shardcast/scoreboard";
import type { BackendLink } from "../backends/backend-link.ts";
import type { BufferTier } from "../buffers/buffer-tier.ts";
import type { LaneCounters } from "../lanes/lane-counters.ts";
import type { GatewayHub } from "../routing/gateway-hub.ts";
import { busReport, queuesToPeers } from "./bus-report.ts";
import { droppedBy } from "./gateway-counts.ts";

/** All that a gateway tells about itself: to /metrics, /health, the console and the terminal. */
export type GatewayReport = GatewayReading;

interface ReportParts {
	readonly hub: GatewayHub;
	readonly row: Pick<BoardRow, "connectionsMax" | "get" | "slot">;
	/** What is known about the list of backends; null = another process keeps it. */
	readonly list: Pick<GatewayReport, "backendsRefused" | "discovery"> | null;
}

export function gatewayReport({ hub, row, list }: ReportParts): GatewayReport {
	const { counts, laneCounters, pool } = hub;
	// Of each backend, the process that is connected to it reports.
	const links = [...hub.backends.all].flatMap(({ own }) => own ?? []);
	const backends = hub.backends.listed.flatMap(({ own, name }) =>
		own === null ? [] : backendReport(hub, own, name, list === null ? row.slot : null),
	);
	const { latency } = counts;
	return {
		clients: {
			open: hub.clients.count,
			max: row.connectionsMax,
			opened: counts.opened,
			closed: { ...counts.closed },
			refused: {
				limit: row.get("refused"),
				rate: row.get("refusedRate"),
				rate_per_ip: row.get("refusedRatePerIp"),
				per_ip: row.get("refusedPerIp"),
				per_user: row.get("refusedPerUser"),
				unauthorized: row.get("refusedUnauthorized"),
				forbidden: row.get("refusedForbidden"),
			},
			callbackErrors: row.get("callbackErrors"),
		},
		frames: { ...counts.frames },
		bytes: { ...counts.bytes },
		dropped: dropped(hub),
		refused: { ...counts.refused },
		acks: { ...laneCounters.acks },
		latency: { count: latency.count, seconds: latency.ms / 1000, mostSeconds: latency.mostMs / 1000 },
		queues: {
			to_clients_high: queueReport([laneCounters.high]),
			to_clients_low: queueReport([laneCounters.low]),
			to_backends_control: queueReport(links.map(({ outbox }) => outbox.queue.counters.control)),
			to_backends_data: queueReport(links.map(({ outbox }) => outbox.queue.counters.data)),
			...(hub.peers !== null && {
				to_processes_control: queueReport(queuesToPeers(hub, "control")),
				to_processes_data: queueReport(queuesToPeers(hub, "data")),
			}),
		},
		deferred: counts.deferred,
		held: [...hub.backends.all].map(({ link }) => link).reduce((sum, { outbox }) => sum + outbox.queue.heldCount, 0),
		buffers: {
			reservedBytes: pool.reservedBytes,
			bytesMax: pool.memoryBytesMax,
			refused: pool.refused,
			overShare: pool.overShare,
			tiers: pool.tiers.map(tierReport),
		},
		backends,
		bus: busReport(hub),
		backendsRefused: list?.backendsRefused ?? 0,
		discovery: list?.discovery ?? null,
	};
}

function dropped(hub: GatewayHub): Record<string, number> {
	const all: Record<string, number> = { ...hub.counts.dropped };
	const { peers, laneCounters } = hub;
	const { high, low } = laneCounters;
	const add = (counts: Readonly<Record<string, number>>): void => {
		for (const [reason, count] of Object.entries(counts)) all[reason]! += count;
	};
	for (const { link } of hub.backends.all) add(droppedBy(link));
	add({ client_closed: high.discarded + low.discarded, video_to_client: low.dropped });
	if (peers !== null) {
		const { unknownClass, droppedWithoutBuffer } = peers.linkCounts.reader;
		add({ unknown_class: unknownClass, no_buffer: droppedWithoutBuffer, video_to_client: peers.queues.data.dropped });
	}
	return all;
}

function queueReport(all: readonly Readonly<LaneCounters>[]): GatewayReading["queues"][string] {
	const sum = { waiting: 0, delivered: 0, dropped: 0, highWater: 0, pressed: 0 };
	for (const { waiting, delivered, dropped, highWater, backpressureEvents } of all) {
		sum.waiting += waiting;
		sum.delivered += delivered;
		sum.dropped += dropped;
		sum.highWater = Math.max(sum.highWater, highWater);
		sum.pressed += backpressureEvents;
	}
	return sum;
}

function tierReport({ bytes, buffersMax, buffers, inUse, allocations, frees, highWater, exhausted }: BufferTier) {
	return { bytes, buffersMax, buffers, inUse, allocations, frees, highWater, exhausted };
}

function backendReport(hub: GatewayHub, link: BackendLink, name: string, process: number | null): GatewayReading["backends"][number] {
	const { id, address, isUp, breaker, counts, outbox } = link;
	return {
		...{ id, address, name, process, isUp, breaker: breaker.state, failures: breaker.failures, opened: breaker.opened },
		dials: counts.dials,
		ups: counts.ups,
		ends: { ...counts.ends },
		sentFrames: counts.sentFrames,
		sentBytes: counts.sentBytes,
		receivedFrames: counts.receivedFrames,
		receivedBytes: counts.receivedBytes,
		undelivered: counts.undelivered,
		waiting: outbox.queue.controlCount + outbox.queue.dataCount + outbox.queue.heldCount,
		stopped: { ...counts.readingStopped, client: hub.fromBackends.pausesOf(link) },
	};
}

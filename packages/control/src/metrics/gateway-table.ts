import { counter, gauge, oneOf, perThing, type ReadMetric, single, singleBy } from "@shardcast/telemetry";

type Numbers = Readonly<Record<string, number>>;

interface QueueReading {
	readonly waiting: number;
	readonly delivered: number;
	readonly dropped: number;
	/** Most frames that waited in one queue. */
	readonly highWater: number;
	/** Times that one reached 80 % of a bound. */
	readonly pressed: number;
}

interface TierReading {
	readonly bytes: number;
	readonly buffersMax: number;
	/** That there is memory for. */
	readonly buffers: number;
	readonly inUse: number;
	readonly allocations: number;
	readonly frees: number;
	readonly highWater: number;
	readonly exhausted: number;
}

interface GatewayBackendReading {
	readonly id: number;
	readonly address: string;
	readonly name: string;
	/** Number of the process that is connected to it; null = there is only one. */
	readonly process: number | null;
	readonly isUp: boolean;
	readonly breaker: string;
	/** In a row. */
	readonly failures: number;
	readonly opened: number;
	readonly dials: number;
	readonly ups: number;
	readonly ends: Numbers;
	readonly sentFrames: number;
	readonly sentBytes: number;
	readonly receivedFrames: number;
	readonly receivedBytes: number;
	readonly undelivered: number;
	/** Frames for it. */
	readonly waiting: number;
	/** Times that reading from it stopped, by reason. */
	readonly stopped: Numbers;
}

/** A gateway's counters since its start, and what is now. */
export interface GatewayReading {
	readonly clients: {
		readonly open: number;
		readonly max: number;
		readonly opened: number;
		readonly closed: Numbers;
		readonly refused: Numbers;
		readonly callbackErrors: number;
	};
	/** By way. */
	readonly frames: Numbers;
	readonly bytes: Numbers;
	readonly dropped: Numbers;
	readonly refused: Numbers;
	readonly acks: { readonly acks: number; readonly surplusAcks: number; readonly skipped: number; readonly resets: number };
	/** Time of frames from a backend until they were given to a client's socket. */
	readonly latency: { readonly count: number; readonly seconds: number; readonly mostSeconds: number };
	readonly queues: Readonly<Record<string, QueueReading>>;
	/** Frames of clients that found no room in a queue to a backend. */
	readonly held: number;
	/** Frames of clients that waited for a later turn of the event loop. */
	readonly deferred: number;
	readonly buffers: {
		readonly reservedBytes: number;
		readonly bytesMax: number;
		readonly refused: number;
		/** Of these, for which there was a buffer, but not within the share of its holder. */
		readonly overShare: number;
		readonly tiers: readonly TierReading[];
	};
	readonly backends: readonly GatewayBackendReading[];
	/** Backends that are not used, since there were too many. */
	readonly backendsRefused: number;
	/** What passes between its processes; null = there is only one. */
	readonly bus: {
		/** Other processes. */
		readonly peers: number;
		readonly records: Numbers;
		readonly bytes: Numbers;
		readonly troubles: Numbers;
	} | null;
	/** Null = it is off. */
	readonly discovery: { readonly accepted: number; readonly refused: Numbers; readonly errors: number } | null;
}

const ofQueues = perThing(
	"queue",
	({ queues }: GatewayReading) => Object.entries(queues),
	([name]) => name,
);
const ofTiers = perThing(
	"tier",
	({ buffers }: GatewayReading) => buffers.tiers,
	({ bytes }) => String(bytes),
);
const ofBackends = perThing(
	"backend",
	({ backends }: GatewayReading) => backends,
	({ address }) => address,
);
const breakerStates = ["CLOSED", "OPEN", "HALF_OPEN"];

/** Of the process that keeps the list of backends. */
export const backendListMetrics: readonly ReadMetric<Pick<GatewayReading, "backendsRefused" | "discovery">>[] = [
	counter(
		"shardcast_gateway_backends_refused_total",
		"none",
		"Times that a backend was not taken, since there were 64 others.",
		single(({ backendsRefused }) => backendsRefused),
	),
	counter(
		"shardcast_gateway_announcements_total",
		"messages",
		"Announcements of backends, by result; none without --discover.",
		singleBy("result", ({ discovery }) => (discovery === null ? {} : { accepted: discovery.accepted, ...discovery.refused })),
	),
];

export const gatewayMetrics: readonly ReadMetric<GatewayReading>[] = [
	gauge(
		"shardcast_gateway_clients",
		"connections",
		"Connected clients.",
		single(({ clients }) => clients.open),
	),
	counter(
		"shardcast_gateway_clients_opened_total",
		"connections",
		"Clients that connected.",
		single(({ clients }) => clients.opened),
	),
	counter(
		"shardcast_gateway_clients_closed_total",
		"connections",
		"Clients that the gateway closed, by cause.",
		singleBy("cause", ({ clients }) => clients.closed),
	),
	counter(
		"shardcast_gateway_clients_refused_total",
		"connections",
		"Clients that could not connect, by reason.",
		singleBy("reason", ({ clients }) => clients.refused),
	),
	counter(
		"shardcast_gateway_callback_errors_total",
		"none",
		"Clients and requests that were ended because the gateway failed while it handled them; the log says why.",
		single(({ clients }) => clients.callbackErrors),
	),
	counter(
		"shardcast_gateway_frames_total",
		"messages",
		"Frames received and passed on, by way; a frame for all counts once where it comes from, and once for each receiver. Those to_backends are counted when they are queued, those to_clients when they are sent.",
		singleBy("way", ({ frames }) => frames),
	),
	counter(
		"shardcast_gateway_bytes_total",
		"bytes",
		"Payloads of these frames.",
		singleBy("way", ({ bytes }) => bytes),
	),
	counter(
		"shardcast_gateway_frames_dropped_total",
		"messages",
		"Frames that were dropped, by reason. video_to_client = VIDEO for clients that are too slow for it, which is normal (with shardcast_gateway_video_skipped_total); video_to_backend = VIDEO for backends that are too slow for it, or were disconnected while it waited; client_closed = frames from or for clients that left before these were passed on.",
		singleBy("reason", ({ dropped }) => dropped),
	),
	counter(
		"shardcast_gateway_frames_refused_total",
		"messages",
		"CONTROL and FILE frames that could not be passed on, of which their client was told, by reason.",
		singleBy("reason", ({ refused }) => refused),
	),
	counter(
		"shardcast_gateway_acknowledgements_total",
		"messages",
		"Acknowledgements of VIDEO frames, by result; surplus = too late, or for no frame.",
		singleBy("result", ({ acks }) => ({ taken: acks.acks, surplus: acks.surplusAcks })),
	),
	counter(
		"shardcast_gateway_video_skipped_total",
		"messages",
		"VIDEO frames that a newer one replaced before their client had acknowledged the one before.",
		single(({ acks }) => acks.skipped),
	),
	counter(
		"shardcast_gateway_ack_timeouts_total",
		"none",
		"ACKs overdue: times that VIDEO went on without one (--ack-timeout).",
		single(({ acks }) => acks.resets),
	),
	counter(
		"shardcast_gateway_wait_seconds_total",
		"seconds",
		"Time of frames from a backend until they were given to a client's socket; divided by the next, it is their average latency here.",
		single(({ latency }) => latency.seconds),
	),
	counter(
		"shardcast_gateway_waits_total",
		"messages",
		"Frames of which that time was measured.",
		single(({ latency }) => latency.count),
	),
	gauge(
		"shardcast_gateway_queue_frames",
		"messages",
		"Frames that wait, by queue, over all clients or backends.",
		ofQueues.each(([, { waiting }]) => waiting),
	),
	gauge(
		"shardcast_gateway_queue_high_water",
		"messages",
		"Most frames that have waited for one client or backend since the start, by queue.",
		ofQueues.each(([, { highWater }]) => highWater),
	),
	counter(
		"shardcast_gateway_queue_dropped_total",
		"messages",
		"VIDEO frames that a queue dropped to make room, or had no room for.",
		ofQueues.each(([, { dropped }]) => dropped),
	),
	counter(
		"shardcast_gateway_queue_pressed_total",
		"none",
		"Times that a queue reached 80 % of a bound.",
		ofQueues.each(([, { pressed }]) => pressed),
	),
	gauge(
		"shardcast_gateway_held_frames",
		"messages",
		"CONTROL and FILE frames of clients that wait because the queue to their backend is full.",
		single(({ held }) => held),
	),
	counter(
		"shardcast_gateway_deferred_frames_total",
		"messages",
		"Frames of clients that waited for a later turn of the event loop, since their client had sent more than 64 at once.",
		single(({ deferred }) => deferred),
	),
	gauge(
		"shardcast_gateway_buffer_bytes",
		"bytes",
		"Memory that buffers for frames have.",
		single(({ buffers }) => buffers.reservedBytes),
	),
	counter(
		"shardcast_gateway_buffers_refused_total",
		"none",
		"Times that there was no buffer for a frame, or none within a share.",
		single(({ buffers }) => buffers.refused),
	),
	counter(
		"shardcast_gateway_buffers_over_share_total",
		"none",
		"Times that there was a buffer for a frame, but its connection or client had its share of what was free.",
		single(({ buffers }) => buffers.overShare),
	),
	gauge(
		"shardcast_gateway_buffers",
		"none",
		"Buffers, by the bytes that one has: with memory, and in use.",
		ofTiers.eachBy("state", ({ buffers, inUse }) => ({ reserved: buffers, in_use: inUse })),
	),
	counter(
		"shardcast_gateway_buffers_taken_total",
		"none",
		"Times that a buffer was taken.",
		ofTiers.each(({ allocations }) => allocations),
	),
	counter(
		"shardcast_gateway_buffers_exhausted_total",
		"none",
		"Times that there was no buffer of this size; a larger one may have served.",
		ofTiers.each(({ exhausted }) => exhausted),
	),
	gauge(
		"shardcast_gateway_backend_up",
		"none",
		"1 for a backend that is connected, 0 for one that is not.",
		ofBackends.each(({ isUp }) => (isUp ? 1 : 0)),
	),
	gauge(
		"shardcast_gateway_backend_breaker",
		"none",
		"1 for the state of the backend's circuit breaker, 0 for the others.",
		ofBackends.eachBy("state", ({ breaker }) => oneOf(breakerStates, breaker)),
	),
	gauge(
		"shardcast_gateway_backend_failures",
		"none",
		"Failures in a row.",
		ofBackends.each(({ failures }) => failures),
	),
	counter(
		"shardcast_gateway_backend_dials_total",
		"none",
		"Attempts to connect.",
		ofBackends.each(({ dials }) => dials),
	),
	counter(
		"shardcast_gateway_backend_ends_total",
		"none",
		"Ends of its connections, by reason.",
		ofBackends.eachBy("reason", ({ ends }) => ends),
	),
	counter(
		"shardcast_gateway_backend_frames_total",
		"messages",
		"Frames that were written to a backend's connections, with the gateway's own, and frames that came from it, without its LINK messages and what was dropped before it had a buffer.",
		ofBackends.eachBy("direction", ({ sentFrames, receivedFrames }) => ({ sent: sentFrames, received: receivedFrames })),
	),
	counter(
		"shardcast_gateway_backend_bytes_total",
		"bytes",
		"Bytes that were written to a backend's connections, and read from them: of all frames, with their headers.",
		ofBackends.eachBy("direction", ({ sentBytes, receivedBytes }) => ({ sent: sentBytes, received: receivedBytes })),
	),
	counter(
		"shardcast_gateway_backend_undelivered_total",
		"messages",
		"Frames that may not have reached a backend, since its connection ended.",
		ofBackends.each(({ undelivered }) => undelivered),
	),
	gauge(
		"shardcast_gateway_backend_waiting",
		"messages",
		"Frames that wait for a backend.",
		ofBackends.each(({ waiting }) => waiting),
	),
	counter(
		"shardcast_gateway_backend_paused_total",
		"none",
		"Times that reading from a backend stopped, by reason; client = the queue of a client was nearly full.",
		ofBackends.eachBy("reason", ({ stopped }) => stopped),
	),
	gauge(
		"shardcast_gateway_peers",
		"none",
		"Other processes of the gateway with which this one exchanges frames; 0 without --shards, and then there are no values of the next three.",
		single(({ bus }) => bus?.peers ?? 0),
	),
	counter(
		"shardcast_gateway_peer_records_total",
		"records",
		"Records to and from these processes.",
		singleBy("direction", ({ bus }) => bus?.records ?? {}),
	),
	counter(
		"shardcast_gateway_peer_bytes_total",
		"bytes",
		"Frames in these records, with their headers.",
		singleBy("direction", ({ bus }) => bus?.bytes ?? {}),
	),
	counter(
		"shardcast_gateway_peer_troubles_total",
		"none",
		"What went wrong between processes, by kind; ring_full = a process did not read fast enough, and the frames waited; no_backend = VIDEO and acknowledgements for a backend that is not up; stale = from or for a process that has died; the others are bugs or processes with too much to say.",
		singleBy("kind", ({ bus }) => bus?.troubles ?? {}),
	),
	...backendListMetrics,
];

import { commandCounterWords, errorCounterWords } from "./command-counters.ts";

/**
 * The scoreboard: a row for each process of the cluster, in shared memory.
 *
 * ```
 * 0        header      magic, version, slots, membership epoch, cluster state, key of channel hashes; from word 32 on the
 *                      offsets of everything else (supervisor writes)
 * 1024     row 0       8 KiB: parts with a writer each, on their own cache lines
 * 9216     row 1 …     rows 0 to 63 are the slots of the bus's members
 * 525312   row 64      the balancer
 * 533504   row 65      the supervisor
 *
 * row + 0      supervisor's part: role, incarnation, core, limit, port, pid, restarts …
 * row + 128    balancer's part:   handoffs sent, proxied connections open
 * row + 256    bell:              sleeping word (set by the member; cleared by it or by the process that wakes it)
 * row + 384    the process's own words (i32), with room for 160
 * row + 1024   its counters (f64), with room for 256
 * row + 3072   its histograms (f64), with room for 12
 * row + 6144   text about its troubles, 1 KiB; in the supervisor's row, JSON about this node of several
 * row + 7168   guards, 512 bytes: of the shard; in the supervisor's row, of the cluster (the process that watches them writes)
 * row + 7680   free for later parts
 * ```
 * Parts lie 128 bytes apart because hardware prefetches cache lines in pairs. Words are read and written with Atomics;
 * counters are 8-byte aligned float64 with one writer each: exact up to 2^53, never torn on x86-64 and arm64.
 *
 * **Versions.** A process may open a scoreboard that a program of another minor version has created, as in a rolling restart. So within a
 * major version words, counters and histograms are only appended and never change their meaning, and every process takes offsets and sizes
 * from the header (`describedLayout`), not from here. Any other change needs a new major version.
 */
export const BoardLayout = {
	magic: 0x53434231, // "SCB1"
	version: { major: 6, minor: 1 },
	/** Members of the bus, of any role. */
	slotsMax: 64,
	headerBytes: 1024,
	rowBytes: 8192,
	supervisorPart: 0,
	balancerPart: 128,
	bellPart: 256,
	ownPart: 384,
	counters: 1024,
	countersMax: 256,
	histograms: 3072,
	histogramBytes: 256,
	histogramsMax: 12,
	/** See BoardText. */
	troubleText: 6144,
	troubleTextBytes: 1024,
	/** See GuardWords. */
	guards: 7168,
} as const;

/** The header describes the layout from this word on, with an i32 word per name. Append only. */
export const describedFrom = 32;
export const describedLayout = [
	"headerBytes",
	"rowBytes",
	"supervisorPart",
	"balancerPart",
	"bellPart",
	"ownPart",
	"counters",
	"countersMax",
	"histograms",
	"histogramBytes",
	"histogramsMax",
	"troubleText",
	"troubleTextBytes",
	"guards",
] as const satisfies readonly (keyof typeof BoardLayout)[];

/** Offsets and sizes from the header of an open scoreboard. */
export type RowLayout = Readonly<Record<(typeof describedLayout)[number], number>>;

/** i32 words of the header, in words from the start of the file. */
export const HeaderWord = {
	magic: 0,
	version: 1,
	slots: 2,
	membershipEpoch: 3,
	clusterState: 4,
	channelHashKey0: 5,
	channelHashKey1: 6,
	urgentRecords: 7,
} as const;

/** Rows after the slots, for processes that are not members of the bus. */
export const ServiceRow = { balancer: 0, supervisor: 1 } as const;
export const serviceRows: number = Object.keys(ServiceRow).length;

/** What kind of process a row belongs to. `gateway` is reserved. */
export const Role = { none: 0, shard: 1, balancer: 2, supervisor: 3, gateway: 4 } as const;
export type Role = (typeof Role)[keyof typeof Role];

/**
 * i32 words of a row's supervisor part. `ringGeneration` counts how often the slot's ring was recreated. It is part of the ring's file name, so
 * that a slot which was removed and added again is not taken for the old one. `addedEpoch` is the membership epoch since which the slot is a
 * member. `drained` is 1 while the shard is to have no clients: it was drained, or is being replaced.
 */
export const SupervisorWord = {
	role: 0,
	incarnation: 1,
	core: 2,
	connectionsMax: 3,
	port: 4,
	pid: 5,
	restarts: 6,
	present: 7,
	ringGeneration: 8,
	addedEpoch: 9,
	drained: 10,
} as const;
/**
 * i32 words of a row's balancer part. `handoffBatches` counts messages sent to the shard's handoff socket: see `BusLink.sleep`.
 * `handoffsUndone` counts connections that were sent but will not reach the shard: taken back, or lost. `overloads` has a bit for each of
 * `shardOverloads`.
 */
export const BalancerRowWord = {
	handoffsSent: 0,
	proxiedOpen: 1,
	handoffBatches: 2,
	handoffsUndone: 3,
	weight: 4,
	overloads: 5,
} as const;

/** What a shard has too little of, so that the strategy `adaptive` avoids it; as health shows it. Append only. */
export const shardOverloads = ["CPU", "memory", "loop lag"] as const;
export type ShardOverload = (typeof shardOverloads)[number];
/**
 * i32 words of a row's bell part. `sleeping` is 0 while the shard is awake, otherwise the number of its sleep. A waker rings first, then replaces
 * that number with 0, so that a waker that dies in between or is late does not clear a later sleep.
 */
export const BellWord = { sleeping: 0 } as const;
/** Word of the state in every process's own part. */
export const stateWord = 0;

/**
 * i32 words of a shard's own part. `epochSeen` is the membership epoch up to which the shard has opened the other members' rings.
 * `connectionsFit` is the number of clients that its process's limit of open files allows; 0 = no limit.
 */
export const ShardWord = {
	state: stateWord,
	connections: 1,
	handoffsReceived: 2,
	webSockets: 3,
	proxiedSeen: 4,
	troubles: 5,
	epochSeen: 6,
	connectionsFit: 7,
} as const;

/**
 * Troubles of a shard that still serves. Health then reports "degraded" with this sentence and the shard's detail (a name, an error). Each has a
 * bit in the word `troubles`, so there are at most 31.
 */
export const shardTroubles = [
	["kafkaStarting", "Kafka: the brokers have not answered yet"],
	["kafkaPositions", "Kafka: the start positions are not known yet"],
	["kafkaConnection", "Kafka: a broker can't be reached"],
	["kafkaCredentials", "Kafka: the brokers reject the credentials or the certificate"],
	["kafkaAuthorization", "Kafka: access to a topic or to the group is denied"],
	["kafkaTopicMissing", "Kafka: a topic does not exist"],
	["kafkaCommit", "Kafka: offsets can't be committed"],
	["kafkaPartitionLimit", "Kafka: there are more partitions than can be read"],
	["kafkaProtocol", "Kafka: a broker gives unexpected answers"],
	["kafkaWorker", "Kafka: the ingest worker is restarting"],
	["kafkaRoute", "Kafka: the route module can't be loaded"],
	["kafkaStalled", "Kafka: a partition is stalled"],
	["postgresConnection", "PostgreSQL can't be used"],
	["durableConnection", "durable channels: PostgreSQL can't be used"],
] as const;
export type ShardTrouble = (typeof shardTroubles)[number][0];

export const ShardState = { empty: 0, starting: 1, serving: 2, draining: 3, dead: 4 } as const;
export type ShardState = (typeof ShardState)[keyof typeof ShardState];

export const ClusterState = { starting: 0, serving: 1, stopping: 2 } as const;
export type ClusterState = (typeof ClusterState)[keyof typeof ClusterState];

/** f64 counters of a shard, by index. Monotonic unless the description says "now". Append only. */
export const shardCounters = [
	["heartbeatMs", "monotonicMs() of the shard's last heartbeat (now)"],
	["messagesIn", "messages taken from clients and HTTP"],
	["bytesIn", "payload bytes taken from clients and HTTP"],
	["recordsRead", "bus and ingest records read by this shard"],
	["deliveries", "messages handed to client sockets"],
	["deliveredBytes", "payload bytes handed to client sockets"],
	["flushes", "flushes of waiting deliveries"],
	["flushIntervalMs", "pause before the next flush (now)"],
	["unused8", "not used; it keeps the places of the counters after it"],
	["closedSlow", "clients closed with 3008 because they read too slowly"],
	["closedTooBig", "clients closed with 1009 because a frame was too long"],
	["closedBusFull", "clients closed with 1013 because the bus stayed full"],
	["backpressured", "publishes that found the ring full"],
	["opened", "WebSockets opened"],
	["closed", "WebSockets closed"],
	["refused", "connections refused because the shard was full"],
	["loopLagP99Ms", "event-loop delay, 99th percentile of the last second (now)"],
	["cpuMs", "user and system CPU time of the process, in milliseconds"],
	["residentBytes", "resident memory of the process (now)"],
	["doorbells", "times that this shard was woken from sleep"],
	["handoffErrors", "descriptors that could not be adopted"],
	["httpRequests", "HTTP requests other than upgrades"],
	["handlerErrors", "exceptions thrown by a handler or middleware; each cost one message"],
	["callbackErrors", "exceptions caught in callbacks of uWebSockets.js; each cost one request or one connection"],
	["bodiesEvicted", "publishes over HTTP answered 408 because their body came most slowly when another one needed its room"],
	["bodiesRefused", "publishes over HTTP answered 503 because there was no room for their body"],
	["closedReceiveOnly", "clients closed with 3507 because they sent a message though clients may only receive"],
	["closedInternal", "clients closed with 1011 because an exception was caught in one of their callbacks"],
	["rateLimited", "publishes refused with 429 because of a rate limit"],
	["startedMs", "monotonicMs() at which the process began to serve"],
	["droppedMessages", "messages not delivered to clients that were being closed as slow"],
	["laneClients", "clients whose messages wait in a separate queue until they have read (now)"],
	["laneEnteredSlow", "times that a client was moved to such a queue because it read too slowly"],
	["laneEnteredLong", "times that a client was moved to such a queue because a long message was sent in parts"],
	["laneDropsOldest", "publications that slow clients did not get because of slow_client: drop-oldest, or because too many keys waited"],
	["laneDropsReplaced", "publications that slow clients did not get because a newer one took their place (slow_client: keep-latest)"],
	["laneGaps", "subscriptions with recovery that ended with 2500 because their client read too slowly"],
	["commandsHeldForMemory", "times that a command waited because replies that nobody had read took up too much memory"],
	["closedNormal", "clients that closed with 1000"],
	["closedGoingAway", "clients closed with 1001, by either side: a drain, or a browser that left the page"],
	["closedAbnormal", "clients gone without a close frame (1006): their connection broke, or they were idle for too long"],
	["closedOther", "clients closed with any other code"],
	["closedCrash", "clients lost because their shard's process died; the supervisor counts them"],
	["busDepthBytes", "bytes in this shard's own ring that its slowest reader has not read (now)"],
	["busBacklogBytes", "bytes in all rings that this shard has not read (now)"],
	["ringBytes", "capacity of this shard's own ring (now)"],
	["refusedRate", "connections answered 429 because of --connection-rate"],
	["refusedRatePerIp", "connections answered 429 because of --connection-rate-per-ip"],
	["refusedPerIp", "connections answered 429 because of --max-connections-per-ip"],
	["addressesForgotten", "addresses forgotten before their share of --connection-rate-per-ip or --message-rate was full again"],
	["addressesUncounted", "WebSockets not counted towards --max-connections-per-ip because the table of addresses was full"],
	["closedRateLimited", "clients closed with 1008 because they sent more messages per second than --message-rate allows"],
	["closedNoCode", "clients that closed without a code (1005), as browsers do by default"],
	["clientsReset", "connections of clients reset because they did not read what waited for them, not even after their close was decided"],
	["deliveryWaits", "times that delivery waited for clients to read before it went on"],
	["deliveryWaitedMs", "total time of these waits, in milliseconds"],
	["clientsGivenUp", "clients that delivery gave up waiting for"],
	["handlerTimeouts", "messages lost because an asynchronous handler did not finish in time"],
	["handlersFull", "messages refused because too many waited for handlers"],
	["recordsUnknown", "records of the bus that were ignored because this shard does not know their type"],
	["subscriptions", "subscriptions of clients of the Centrifuge protocol (now)"],
	["recoveries", "subscriptions that got everything that their client had missed, from memory"],
	["recoveriesFromKafka", "subscriptions that got everything that their client had missed, some of it read from Kafka"],
	["recoveriesFailed", "subscriptions that asked for what they had missed, of which too much was gone"],
	["recoveredPublications", "publications that such clients had missed and got"],
	["durableAcknowledgements", "acknowledgements of consumers of durable channels"],
	["durableRedeliveries", "subscriptions of consumers that had not acknowledged in time, and that got the publications again"],
	["durableLost", "subscriptions of consumers whose next publication was no longer kept"],
	["durableFailures", "times that the durable store could not be read or written"],
	["durableBytes", "size of the durable store (now)"],
	["durablePositions", "positions of consumers in the durable store (now)"],
	["closed3000", "clients of the Centrifuge protocol closed with 3000: connection closed"],
	["closed3001", "clients of the Centrifuge protocol closed with 3001: shutdown"],
	["closed3004", "clients of the Centrifuge protocol closed with 3004: internal server error"],
	["closed3005", "clients of the Centrifuge protocol closed with 3005: connection expired"],
	["closed3006", "clients of the Centrifuge protocol closed with 3006: subscription expired"],
	["closed3009", "clients of the Centrifuge protocol closed with 3009: write error"],
	["closed3010", "clients of the Centrifuge protocol closed with 3010: insufficient state"],
	["closed3011", "clients of the Centrifuge protocol closed with 3011: force reconnect"],
	["closed3012", "clients of the Centrifuge protocol closed with 3012: no pong"],
	["closed3013", "clients of the Centrifuge protocol closed with 3013: too many requests"],
	["closed3014", "clients of the Centrifuge protocol closed with 3014: state invalidated"],
	["closed3500", "clients of the Centrifuge protocol closed with 3500: invalid token"],
	["closed3501", "clients of the Centrifuge protocol closed with 3501: bad request"],
	["closed3502", "clients of the Centrifuge protocol closed with 3502: stale"],
	["closed3503", "clients of the Centrifuge protocol closed with 3503: force disconnect"],
	["closed3504", "clients of the Centrifuge protocol closed with 3504: connection limit"],
	["closed3505", "clients of the Centrifuge protocol closed with 3505: channel limit"],
	["closed3506", "clients of the Centrifuge protocol closed with 3506: inappropriate protocol"],
	["closed3508", "clients of the Centrifuge protocol closed with 3508: not available"],
	["closed3509", "clients of the Centrifuge protocol closed with 3509: too many errors"],
	["framesEmulated", "frames of clients that came by POST /emulation and were carried out"],
	["framesPassedOn", "frames by POST /emulation that were passed on to the shard that has their client"],
	["framesRefused", "frames by POST /emulation that were refused because there was no room to pass them on"],
	["closedInvalidMessage", "clients closed with 1007 because they sent a message that its channels do not accept"],
	["subscriptionsProtobuf", "those of them whose clients speak Protobuf (now)"],
	...commandCounterWords,
	...errorCounterWords,
	["refusedUnauthorized", "clients of the raw endpoint answered 401 because they had no valid token"],
	["refusedForbidden", "clients of the raw endpoint answered 403 because of the permissions of their channels"],
	["refusedProxyHeader", "connections refused because they did not begin with a PROXY header of a trusted proxy"],
	["refusedPerUser", "clients closed with 3504 because of client.user_connection_limit"],
	["usersUncounted", "clients not counted towards client.user_connection_limit because the table was full"],
	["commandsOverClientRate", "commands beyond client.rate_limit.client_command"],
	["commandsOverUserRate", "commands beyond client.rate_limit.user_command"],
	["refusedNoTls", "connections refused because they did not begin with TLS"],
	["userIdsTooLong", "tokens refused because their user id has more than 255 bytes"],
	["clientEventsTooLong", "events of clients that webhooks are not told because they are longer than a record"],
	["closedConnectAgain", "clients that a rebalance asked to connect again (1012, or 3011 of the Centrifuge protocol)"],
	["refusedCutOff", "clients answered 503 because this node was cut off from the others"],
	["laneBytes", "memory of what waits in the queues of clients that read slowly; what several share counts once (now)"],
	["laneMessages", "messages that wait in these queues (now)"],
	["laneDropsMemory", "publications that slow clients did not get because all these queues together took half of --max-buffered-total"],
	["unreadBytes", "bytes that wait in the process for all clients together (now)"],
	["clientsBehind", "clients that are in such a queue, or have more than a sixteenth of --max-buffered unread (now)"],
	["unreadLimited", "times that --max-buffered-total, or the half that lanes may take, was exceeded and something was dropped or closed"],
	[
		"clientsCutForMemory",
		"clients closed with 3008 and reset because they had the most unread while --max-buffered-total was exceeded or commands waited for memory",
	],
	["toldToLeave", "clients told to reconnect because their shard is drained while it runs"],
	["refusedOverloaded", "clients answered 503 because a guard acted"],
	["openFiles", "descriptors that the process has open (now)"],
	["openFilesMax", "descriptors that it may have open; 0 = no limit (now)"],
] as const;
export type ShardCounter = (typeof shardCounters)[number][0];

/** i32 words of the balancer's own part. */
export const BalancerWord = { state: stateWord, mode: 1, pending: 2, strategy: 3, affinity: 4 } as const;
export const BalancerMode = { none: 0, handoff: 1, proxy: 2 } as const;
export type BalancerMode = (typeof BalancerMode)[keyof typeof BalancerMode];
/** How the balancer chooses a shard, as the words `strategy` and `affinity` number it: those of the options. Append only. */
export const balancerStrategies = ["least_connections", "round_robin", "random", "weighted", "ip_hash", "adaptive"] as const;
export type BalancerStrategy = (typeof balancerStrategies)[number];
export const balancerAffinities = ["none", "user", "connection", "hash"] as const;
export type BalancerAffinity = (typeof balancerAffinities)[number];

/** f64 counters of the balancer, by index. Append only. */
export const balancerCounters = [
	["heartbeatMs", "monotonicMs() of the balancer's last heartbeat (now)"],
	["accepted", "connections accepted"],
	["handedOff", "connections handed to a shard"],
	["proxied", "connections proxied to a shard"],
	["answered", "requests that the balancer answered itself"],
	["refusedBusy", "connections answered 503 because no shard had room"],
	["refusedBadRequest", "connections answered 400 because they did not speak HTTP, or not over TLS"],
	["refusedHeadTimeout", "connections answered 408 because their head did not arrive in time"],
	["refusedHeadTooLong", "connections answered 431 because their head was too long"],
	["refusedForbidden", "connections answered 403 because of their origin"],
	["closedEarly", "connections that the client broke off before they were handed over"],
	["sendRetries", "descriptor batches that found a shard's socket full and were sent again"],
	["sendErrors", "descriptors that could not be sent"],
	["cpuMs", "user and system CPU time of the process, in milliseconds"],
	["residentBytes", "resident memory of the process (now)"],
	["loopLagP99Ms", "event-loop delay, 99th percentile of the last second (now)"],
	["acceptErrors", "connections that could not be accepted for lack of descriptors or memory"],
	["dialErrors", "connections to a shard's own port that failed; another shard was tried (proxy mode)"],
	["refusedRate", "connections answered 429 because of --connection-rate"],
	["refusedRatePerIp", "connections answered 429 because of --connection-rate-per-ip"],
	[
		"takenBack",
		"connections taken back from a shard that did not respond or was down, or from a remote one that answered 503, to be given to another",
	],
	["lost", "connections that died with the balancer's process; the supervisor counts them"],
	["refusedProxyHeader", "connections answered 400 because they did not begin with a PROXY header of a trusted proxy"],
	["affinityKept", "connections with an id that got the shard of that id (--lb-affinity)"],
	["affinityMoved", "connections with an id that got another shard, because that of the id was full, draining, down or overloaded"],
	["affinityUnknown", "connections without an id, placed by the strategy alone (--lb-affinity)"],
	["leftToSuccessor", "connections that a balancer left to its successor when it was replaced, which accepts them once more"],
	["refusedOverloaded", "connections answered 503 because a guard acted"],
] as const;
export type BalancerCounter = (typeof balancerCounters)[number][0];

/** Each accepted connection is finally counted in exactly one of these counters. */
export const balancerOutcomes = [
	"handedOff",
	"proxied",
	"answered",
	"refusedBusy",
	"refusedBadRequest",
	"refusedHeadTimeout",
	"refusedHeadTooLong",
	"refusedForbidden",
	"refusedRate",
	"refusedRatePerIp",
	"refusedProxyHeader",
	"refusedOverloaded",
	"closedEarly",
	"sendErrors",
	"lost",
	"leftToSuccessor",
] as const satisfies readonly BalancerCounter[];

/** Upper bounds of the buckets for times, in milliseconds: fine where users notice a difference, coarse where it only shows a problem. */
const timeBoundsMs = [0.1, 0.2, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000, 2000, 5000, 10000] as const;
/** Upper bounds of the buckets for counts: powers of two. */
const countBounds = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536] as const;

/** A histogram in shared memory: name, description, bounds. At most 30 bounds: with the last bucket and the sum they fill 256 bytes. */
export type HistogramDescriptor = readonly [name: string, sentence: string, bounds: readonly number[]];

/** Histograms of a shard, by index. They survive the shard like the counters. Append only. */
export const shardHistograms = [
	["publishToSendMs", "time from a message's publication to its hand-over to a client's socket, once per delivery", timeBoundsMs],
	["ingestToSendMs", "time from a record's receipt from Kafka to its hand-over to a client's socket, once per delivery", timeBoundsMs],
	["flushRecords", "records per flush", countBounds],
	["flushDurationMs", "duration of a flush", timeBoundsMs],
] as const satisfies readonly HistogramDescriptor[];
export type ShardHistogram = (typeof shardHistograms)[number][0];

/** Histograms of the balancer, by index. Append only. */
export const balancerHistograms = [
	["handoffMs", "time from accepting a connection to handing it to a shard, waiting for its head included", timeBoundsMs],
] as const satisfies readonly HistogramDescriptor[];
export type BalancerHistogram = (typeof balancerHistograms)[number][0];

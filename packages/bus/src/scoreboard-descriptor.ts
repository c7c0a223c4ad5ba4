/**
 * The scoreboard: one row per shard slot and one block for the balancer, in shared memory.
 *
 * ```
 * 0       header      magic, version, slots, supervisor pid, membership epoch, cluster state   (supervisor writes)
 * 1024    balancer    the balancer's own block                                               (balancer writes)
 * 2048    row 0       1024 bytes: four parts, each with its own writer on its own cache lines
 * 3072    row 1 …
 *
 * row + 0     supervisor's part: incarnation, core, limit, port, pid, restarts
 * row + 128   balancer's part:   handoffs sent, proxied connections open
 * row + 256   bell:              sleeping word (the shard sets it, whoever wakes the shard clears it)
 * row + 384   shard's part:      words (i32), then counters (f64) at row + 512
 * ```
 * Parts lie 128 bytes apart because hardware prefetches cache lines in pairs. Words are read and written with Atomics;
 * counters are 8-byte aligned float64 with one writer each: exact up to 2^53, never torn on x86-64 and arm64.
 */
export const BoardLayout = {
	magic: 0x53434231, // "SCB1"
	version: 1,
	slotsMax: 64,
	headerBytes: 1024,
	balancerBytes: 1024,
	rowBytes: 1024,
	supervisorPart: 0,
	balancerPart: 128,
	bellPart: 256,
	shardPart: 384,
	shardCounters: 512,
	balancerCounters: 512,
} as const;

/** i32 words of the header, in words from the start of the file. */
export const HeaderWord = { magic: 0, version: 1, slots: 2, supervisorPid: 3, membershipEpoch: 4, clusterState: 5 } as const;
/** i32 words of a row's supervisor part. */
export const SupervisorWord = { incarnation: 0, core: 1, connectionsMax: 2, port: 3, pid: 4, restarts: 5, present: 6 } as const;
/** i32 words of a row's balancer part. */
export const BalancerRowWord = { handoffsSent: 0, proxiedOpen: 1 } as const;
/** i32 words of a row's bell part. */
export const BellWord = { sleeping: 0 } as const;
/** i32 words of a row's shard part. */
export const ShardWord = { state: 0, connections: 1, handoffsReceived: 2, webSockets: 3, proxiedSeen: 4 } as const;

export const ShardState = { empty: 0, starting: 1, serving: 2, draining: 3, dead: 4 } as const;
export type ShardState = (typeof ShardState)[keyof typeof ShardState];

export const ClusterState = { starting: 0, serving: 1, stopping: 2 } as const;
export type ClusterState = (typeof ClusterState)[keyof typeof ClusterState];

/** f64 counters of a row, by index from row + 512. Monotonic unless the sentence says "now". At most 64. */
export const shardCounters = [
	["heartbeatMs", "monotonicMs() of the shard's last turn of its heartbeat timer (now)"],
	["messagesIn", "messages taken from clients and HTTP"],
	["bytesIn", "payload bytes taken from clients and HTTP"],
	["recordsDrained", "bus and ingest records drained by this shard"],
	["deliveries", "messages handed to client sockets"],
	["deliveredBytes", "payload bytes handed to client sockets"],
	["flushes", "flushes of waiting deliveries"],
	["flushIntervalMs", "pause before the next flush (now)"],
	["flushMs", "how long the last flush took (now)"],
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
	["rateLimited", "publishes refused with 429 because of a rate limit"],
	["startedMs", "monotonicMs() at which the process began to serve"],
	["droppedMessages", "messages not delivered to clients that were being closed as slow"],
] as const;
export type ShardCounter = (typeof shardCounters)[number][0];

/** i32 words of the balancer block (from byte 1024). */
export const BalancerWord = { state: 0, pid: 1, mode: 2, pending: 3 } as const;
export const BalancerMode = { none: 0, handoff: 1, proxy: 2 } as const;

/** f64 counters of the balancer block, by index from byte 1024 + 512. */
export const balancerCounters = [
	["heartbeatMs", "monotonicMs() of the balancer's last heartbeat (now)"],
	["accepted", "connections accepted"],
	["handedOff", "connections handed to a shard"],
	["proxied", "connections proxied to a shard"],
	["answered", "requests that the balancer answered itself"],
	["refusedBusy", "connections answered 503 because no shard had room"],
	["refusedBadRequest", "connections answered 400 because they did not speak HTTP"],
	["refusedHeadTimeout", "connections answered 408 because their head did not come in time"],
	["refusedHeadTooLong", "connections answered 431 because their head was too long"],
	["refusedForbidden", "connections answered 403 because of their origin"],
	["closedEarly", "connections that the client broke off before they were handed over"],
	["sendRetries", "descriptor batches that found a shard's socket full and were sent again"],
	["sendErrors", "descriptors that could not be sent"],
	["cpuMs", "user and system CPU time of the process, in milliseconds"],
	["residentBytes", "resident memory of the process (now)"],
	["loopLagP99Ms", "event-loop delay, 99th percentile of the last second (now)"],
] as const;
export type BalancerCounter = (typeof balancerCounters)[number][0];

import type { BoardMetric } from "@shardcast/telemetry";
import { counter, gauge, histogram, oneOf, perShard, perShardBy, perShardHistogram, seconds } from "@shardcast/telemetry";
import { closedByCode } from "../closed-by-code.ts";

/** States of a shard or balancer process, in the order of the scoreboard's `ShardState`. */
export const memberStates = ["empty", "starting", "serving", "draining", "dead"] as const;

/**
 * Metrics from each shard's row of the scoreboard. Counters continue when a shard is restarted, unless the description says "of the process".
 * The metrics of Kafka ingest have a separate table.
 */
export const shardMetrics: readonly BoardMetric[] = [
	// Clients.
	gauge(
		"websocket_active_connections",
		"connections",
		"Connected clients: open WebSockets, and HTTP streams of clients without one.",
		perShard(({ webSockets }) => webSockets),
	),
	gauge(
		"shardcast_connections",
		"connections",
		"Connections that count towards the shard's limit, WebSocket or not.",
		perShard(({ connections }) => connections),
	),
	gauge(
		"shardcast_connections_limit",
		"connections",
		"Maximum number of connections of the shard.",
		perShard(({ connectionsMax }) => connectionsMax),
	),
	counter(
		"shardcast_websockets_opened_total",
		"connections",
		"Clients that connected, by WebSocket or HTTP stream.",
		perShard(({ counters }) => counters.opened),
	),
	counter(
		"shardcast_websockets_closed_total",
		"connections",
		"Clients whose WebSocket or HTTP stream has ended, whoever ended it.",
		perShard(({ counters }) => counters.closed),
	),
	counter(
		"shardcast_disconnects_total",
		"connections",
		"WebSockets closed, by close code; 1005 is a close frame without a code, 1006 a connection that broke or was idle, crash a connection lost with its shard's process, other any code not listed.",
		perShardBy("code", ({ counters }) => ({
			...Object.fromEntries(Object.entries(closedByCode).map(([code, name]) => [code, counters[name]])),
			crash: counters.closedCrash,
			other: counters.closedOther,
		})),
	),
	counter(
		"shardcast_clients_told_to_leave_total",
		"connections",
		"Clients told to reconnect because their shard was drained or replaced while the cluster runs.",
		perShard(({ counters }) => counters.toldToLeave),
	),
	counter(
		"shardcast_clients_reset_total",
		"connections",
		"Connections that were reset because the client did not read after the server closed it; the kernel frees unsent data at once.",
		perShard(({ counters }) => counters.clientsReset),
	),
	counter(
		"shardcast_connections_refused_total",
		"connections",
		"Connections that a shard refused, by limit: full = the shard's connections, per_ip = --max-connections-per-ip, rate and rate_per_ip = --connection-rate and --connection-rate-per-ip, proxy_header = no PROXY header of a trusted proxy, no_tls = plain HTTP, or no TLS handshake, where TLS is on, per_user = client.user_connection_limit, unauthorized and forbidden = a raw client without a valid token, or without permission for its channels, cut_off = this node was cut off from the others, with --cut-off-policy refuse, overloaded = a guard acted.",
		perShardBy("reason", ({ counters }) => ({
			full: counters.refused,
			rate: counters.refusedRate,
			rate_per_ip: counters.refusedRatePerIp,
			per_ip: counters.refusedPerIp,
			proxy_header: counters.refusedProxyHeader,
			no_tls: counters.refusedNoTls,
			per_user: counters.refusedPerUser,
			unauthorized: counters.refusedUnauthorized,
			forbidden: counters.refusedForbidden,
			cut_off: counters.refusedCutOff,
			overloaded: counters.refusedOverloaded,
		})),
	),
	counter(
		"shardcast_user_ids_too_long_total",
		"none",
		"Tokens that were refused because their user id has more than 255 bytes. A reply of the connect hook with such an id counts as invalid.",
		perShard(({ counters }) => counters.userIdsTooLong),
	),
	counter(
		"shardcast_webhook_events_too_long_total",
		"none",
		"Client events that were not sent to webhooks because they are longer than a record. The limits on user ids and channel names prevent that: each one is a bug.",
		perShard(({ counters }) => counters.clientEventsTooLong),
	),
	counter(
		"shardcast_addresses_lost_total",
		"none",
		"Times that a shard could not track a client's address or user because there were too many: forgotten too early for --connection-rate-per-ip, --message-rate or client.rate_limit.user_command, or not counted for --max-connections-per-ip or client.user_connection_limit (users_uncounted).",
		perShardBy("kind", ({ counters }) => ({
			forgotten: counters.addressesForgotten,
			uncounted: counters.addressesUncounted,
			users_uncounted: counters.usersUncounted,
		})),
	),
	// Messages.
	counter(
		"events_processed_total",
		"messages",
		"Messages from clients and over HTTP that were published to the cluster.",
		perShard(({ counters }) => counters.messagesIn),
	),
	counter(
		"shardcast_received_bytes_total",
		"bytes",
		"Payload bytes of messages from clients and over HTTP.",
		perShard(({ counters }) => counters.bytesIn),
	),
	counter(
		"shardcast_deliveries_total",
		"messages",
		"Messages handed to client sockets, counted once per client.",
		perShard(({ counters }) => counters.deliveries),
	),
	counter(
		"shardcast_delivered_bytes_total",
		"bytes",
		"Payload bytes handed to client sockets.",
		perShard(({ counters }) => counters.deliveredBytes),
	),
	counter(
		"shardcast_drops_total",
		"messages",
		"Messages not delivered or not published, by reason.",
		perShardBy("reason", ({ counters }) => ({
			slow_client: counters.droppedMessages,
			slow_client_oldest: counters.laneDropsOldest,
			slow_client_replaced: counters.laneDropsReplaced,
			slow_client_memory: counters.laneDropsMemory,
			rate_limited: counters.rateLimited,
			receive_only: counters.closedReceiveOnly,
			handler_error: counters.handlerErrors,
			handler_timeout: counters.handlerTimeouts,
			handlers_full: counters.handlersFull,
		})),
	),
	histogram(
		"shardcast_publish_to_send_seconds",
		"seconds",
		"Time from a message's publication to its hand-over to a client's socket, counted once per delivery.",
		perShardHistogram("publishToSendMs", seconds),
	),
	counter(
		"shardcast_http_requests_total",
		"none",
		"HTTP requests to a shard other than WebSocket upgrades.",
		perShard(({ counters }) => counters.httpRequests),
	),
	counter(
		"shardcast_request_bodies_lost_total",
		"none",
		"HTTP publishes whose body was not read to its end: slow got 408, because it was the slowest when another body needed the space; no_room got 503.",
		perShardBy("reason", ({ counters }) => ({ slow: counters.bodiesEvicted, no_room: counters.bodiesRefused })),
	),
	counter(
		"shardcast_callback_errors_total",
		"none",
		"Exceptions while a shard handled a request or a connection, answered with 500 or closed with 1011. Each is a bug; the log has the stack.",
		perShard(({ counters }) => counters.callbackErrors),
	),
	// Flushes.
	counter(
		"shardcast_flushes_total",
		"none",
		"Flushes of waiting deliveries.",
		perShard(({ counters }) => counters.flushes),
	),
	histogram("shardcast_flush_records", "records", "Records per flush.", perShardHistogram("flushRecords")),
	histogram("shardcast_flush_duration_seconds", "seconds", "Duration of a flush.", perShardHistogram("flushDurationMs", seconds)),
	gauge(
		"shardcast_flush_interval_seconds",
		"seconds",
		"Pause before the next flush; 0 = messages are sent as they arrive.",
		perShard(({ counters }) => seconds(counters.flushIntervalMs)),
	),
	counter(
		"shardcast_delivery_waits_total",
		"none",
		"Times that a shard's delivery waited, in a burst, for clients that had half of --max-buffered unread.",
		perShard(({ counters }) => counters.deliveryWaits),
	),
	counter(
		"shardcast_delivery_wait_seconds_total",
		"seconds",
		"How long delivery waited for clients; meanwhile messages wait in the rings, and publishers wait when these are full.",
		perShard(({ counters }) => seconds(counters.deliveryWaitedMs)),
	),
	counter(
		"shardcast_clients_given_up_total",
		"none",
		"Clients that delivery gave up waiting for; a client that still does not read is closed with 3008.",
		perShard(({ counters }) => counters.clientsGivenUp),
	),
	gauge(
		"shardcast_lane_clients",
		"none",
		"Clients whose messages wait in a separate queue, because they read slowly or nothing, or are being sent a long message in parts.",
		perShard(({ counters }) => counters.laneClients),
	),
	counter(
		"shardcast_lane_entered_total",
		"none",
		"Times that a client was moved to such a queue, by reason.",
		perShardBy("reason", ({ counters }) => ({ slow: counters.laneEnteredSlow, long_message: counters.laneEnteredLong })),
	),
	counter(
		"shardcast_commands_held_total",
		"none",
		"Times that a command with a long reply waited because replies of more than 256 MiB waited to be read.",
		perShard(({ counters }) => counters.commandsHeldForMemory),
	),
	counter(
		"shardcast_lane_gaps_total",
		"none",
		"Subscriptions with recovery that ended with 2500 because their client read too slowly.",
		perShard(({ counters }) => counters.laneGaps),
	),
	gauge(
		"shardcast_lane_bytes",
		"bytes",
		"Memory of what waits in these queues; what several of them share counts once. At most half of --max-buffered-total, but for what may not be dropped.",
		perShard(({ counters }) => counters.laneBytes),
	),
	gauge(
		"shardcast_lane_messages",
		"messages",
		"Messages that wait in these queues; one that waits for two clients counts twice.",
		perShard(({ counters }) => counters.laneMessages),
	),
	gauge(
		"shardcast_slow_clients",
		"none",
		"Clients in such a queue because they read slowly, or with more than a sixteenth of --max-buffered unread.",
		perShard(({ counters }) => counters.clientsBehind),
	),
	gauge(
		"shardcast_unread_bytes",
		"bytes",
		"Bytes that wait in the process for all clients together; the limit is --max-buffered-total.",
		perShard(({ counters }) => counters.unreadBytes),
	),
	counter(
		"shardcast_unread_limited_total",
		"none",
		"Times that --max-buffered-total, or the half of it that queues may take, was exceeded, and something was dropped or closed.",
		perShard(({ counters }) => counters.unreadLimited),
	),
	counter(
		"shardcast_clients_cut_for_memory_total",
		"none",
		"Clients closed with 3008 because they had read nothing for 2 s and had the most unread, while --max-buffered-total was exceeded or commands waited for the memory of unread replies.",
		perShard(({ counters }) => counters.clientsCutForMemory),
	),
	// Bus.
	counter(
		"shardcast_bus_records_total",
		"records",
		"Records that a shard read from the bus and from Kafka ingest.",
		perShard(({ counters }) => counters.recordsRead),
	),
	counter(
		"shardcast_bus_records_unknown_total",
		"none",
		"Records of the bus that a shard ignored because it does not know their type; only while shards of different versions run.",
		perShard(({ counters }) => counters.recordsUnknown),
	),
	counter(
		"shardcast_bus_backpressured_total",
		"none",
		"Publishes held back because the shard's ring was full for its slowest reader.",
		perShard(({ counters }) => counters.backpressured),
	),
	gauge(
		"shardcast_bus_depth_bytes",
		"bytes",
		"Bytes in the shard's ring that its slowest reader has not read yet.",
		perShard(({ counters }) => counters.busDepthBytes),
	),
	gauge(
		"shardcast_bus_backlog_bytes",
		"bytes",
		"Bytes in all rings that this shard has not read yet.",
		perShard(({ counters }) => counters.busBacklogBytes),
	),
	gauge(
		"shardcast_ring_capacity_bytes",
		"bytes",
		"Capacity of the shard's ring.",
		perShard(({ counters }) => counters.ringBytes),
	),
	counter(
		"shardcast_doorbells_total",
		"none",
		"Times that a shard was woken by its doorbell.",
		perShard(({ counters }) => counters.doorbells),
	),
	// Hand-over.
	counter(
		"shardcast_handoffs_sent_total",
		"connections",
		"Connections that the balancer handed to the shard.",
		perShard(({ handoffsSent }) => handoffsSent),
	),
	counter(
		"shardcast_handoffs_received_total",
		"connections",
		"Handed-over connections that the shard took.",
		perShard(({ handoffsReceived }) => handoffsReceived),
	),
	counter(
		"shardcast_handoff_errors_total",
		"connections",
		"Handed-over connections that the shard could not take.",
		perShard(({ counters }) => counters.handoffErrors),
	),
	gauge(
		"shardcast_proxied_connections",
		"connections",
		"Connections that the balancer proxies to the shard.",
		perShard(({ proxiedOpen }) => proxiedOpen),
	),
	// Shard processes.
	gauge(
		"shardcast_shard_state",
		"none",
		"1 for the shard's current state, 0 for the others.",
		perShardBy("state", ({ state }) => oneOf(memberStates, state)),
	),
	gauge(
		"shardcast_shard_overloaded",
		"none",
		"1 for each resource of which the shard has so little that it gets no new clients while another shard has more, with --lb-strategy adaptive.",
		perShardBy("resource", ({ overloads }) => ({
			cpu: overloads.includes("CPU") ? 1 : 0,
			memory: overloads.includes("memory") ? 1 : 0,
			loop_lag: overloads.includes("loop lag") ? 1 : 0,
		})),
	),
	gauge(
		"shardcast_shard_core",
		"none",
		"CPU that the shard is pinned to; -1 = none.",
		perShard(({ core }) => core),
	),
	counter(
		"shardcast_shard_restarts_total",
		"none",
		"Times that the shard was restarted after it died or hung.",
		perShard(({ restarts }) => restarts),
	),
	gauge(
		"shardcast_shard_heartbeat_age_seconds",
		"seconds",
		"Time since the shard's last heartbeat.",
		perShard(({ counters }, { nowMs }) => seconds(Math.max(0, nowMs - counters.heartbeatMs))),
	),
	gauge(
		"shardcast_shard_uptime_seconds",
		"seconds",
		"Time since the shard's process started to serve.",
		perShard(({ state, counters }, { nowMs }) => (state === "serving" ? seconds(Math.max(0, nowMs - counters.startedMs)) : 0)),
	),
	counter(
		"shardcast_shard_cpu_seconds_total",
		"seconds",
		"User and system CPU time of the shard's process.",
		perShard(({ counters }) => seconds(counters.cpuMs)),
	),
	gauge(
		"shardcast_shard_resident_bytes",
		"bytes",
		"Resident memory of the shard's process.",
		perShard(({ counters }) => counters.residentBytes),
	),
	gauge(
		"shardcast_shard_open_files",
		"none",
		"Descriptors that the shard's process has open.",
		perShard(({ counters }) => counters.openFiles),
	),
	gauge(
		"shardcast_shard_open_files_limit",
		"none",
		"Descriptors that the shard's process may have open; 0 = no limit.",
		perShard(({ counters }) => counters.openFilesMax),
	),
	gauge(
		"shardcast_shard_loop_lag_p99_seconds",
		"seconds",
		"Delay of the shard's event loop, 99th percentile of the last second.",
		perShard(({ counters }) => seconds(counters.loopLagP99Ms)),
	),
];

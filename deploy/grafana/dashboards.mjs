// The dashboards, as the questions that they answer. `node deploy/grafana/dashboards.mjs` writes dashboards/*.json, which Grafana
// reads; a test sees that they are up to date, and that every metric in them is one that a cluster exports.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { argv, exit } from "node:process";
import { bars, dashboard, heatMap, lines, numbers, query, row, states } from "./panels.mjs";

const on = '{instance=~"$instance"}';
const by = (labels) => `{instance=~"$instance",${labels}}`;
const rate = (metric, labels = "") => `rate(${metric}${labels === "" ? on : by(labels)}[$__rate_interval])`;
const sumRate = (metric, labels = "") => `sum(${rate(metric, labels)})`;
const quantile = (q, metric, more = "") => `histogram_quantile(${q}, sum by (le${more}) (${rate(`${metric}_bucket`)}))`;
const serving = `shardcast_shard_state${by('state="serving"')}`;
const good = [[0, "green"]];

const overview = dashboard("shardcast-overview", "shardcast: overview", "Health, load and latency.", [
	numbers("Shards serving", "Shards that serve, out of all shards.", "none", [
		query(`sum(${serving})`, "serving"),
		query(`sum(shardcast_shards${on})`, "of"),
	]),
	numbers("Clients", "WebSockets open now.", "none", [query(`sum(websocket_active_connections${on})`)]),
	numbers(
		"Connections used",
		"Share of --max-connections; above 90 % health says degraded.",
		"percentunit",
		[query(`max(shardcast:connection_utilisation:ratio${on})`)],
		{
			thresholds: [
				[0, "green"],
				[0.75, "yellow"],
				[0.9, "red"],
			],
		},
	),
	numbers("Events per second", "Taken from clients and over HTTP.", "short", [query(`sum(shardcast:events:rate1m${on})`)]),
	numbers("Deliveries per second", "Messages handed to client sockets, once per client.", "short", [
		query(`sum(shardcast:deliveries:rate1m${on})`),
	]),
	numbers("Latency p99", "From publication to the client's socket.", "s", [query(`max(shardcast:publish_to_send_seconds:p99_1m${on})`)], {
		thresholds: [
			[0, "green"],
			[0.1, "yellow"],
			[0.25, "red"],
		],
	}),
	lines("Clients by shard", "By default the balancer picks the shard with the fewest, so the lines should overlap.", "none", [
		query(`websocket_active_connections${on}`, "shard {{shard}}"),
	]),
	lines(
		"Events in",
		"Events published to the cluster, by the shard that took them.",
		"short",
		[query(rate("events_processed_total"), "shard {{shard}}")],
		{ stack: true },
	),
	lines(
		"Deliveries",
		"Messages handed to client sockets, by shard.",
		"short",
		[query(rate("shardcast_deliveries_total"), "shard {{shard}}")],
		{ stack: true },
	),
	lines("Latency", "From publication to the client's socket, all shards together.", "s", [
		query(quantile(0.5, "shardcast_publish_to_send_seconds"), "p50"),
		query(quantile(0.9, "shardcast_publish_to_send_seconds"), "p90"),
		query(quantile(0.99, "shardcast_publish_to_send_seconds"), "p99"),
	]),
	lines("Bytes", "Payload bytes taken and handed out.", "Bps", [
		query(sumRate("shardcast_received_bytes_total"), "in"),
		query(sumRate("shardcast_delivered_bytes_total"), "out"),
	]),
	lines(
		"Connections accepted",
		"Accepted connections, by outcome.",
		"short",
		[query(`sum by (outcome) (${rate("shardcast_balancer_connections_total")}) > 0`, "{{outcome}}")],
		{ stack: true },
	),
	lines(
		"Affinity",
		"Placed connections by whether they got the shard of their id (--lb-affinity).",
		"short",
		[query(`sum by (outcome) (${rate("shardcast_balancer_affinity_total")}) > 0`, "{{outcome}}")],
		{ stack: true },
	),
	lines("Overloaded shards", "What a shard has too little of, so that --lb-strategy adaptive avoids it.", "short", [
		query(`shardcast_shard_overloaded${on} > 0`, "shard {{shard}}: {{resource}}"),
	]),
	lines(
		"Disconnects",
		"WebSockets closed, by close code.",
		"short",
		[query(`sum by (code) (${rate("shardcast_disconnects_total")})`, "{{code}}")],
		{ stack: true },
	),
	lines("Handing over", "From accepting a connection to handing it to a shard, waiting for its HTTP head included.", "s", [
		query(quantile(0.5, "shardcast_handoff_seconds"), "p50"),
		query(quantile(0.99, "shardcast_handoff_seconds"), "p99"),
	]),
	lines(
		"TLS reloads",
		"New TLS certificates, by result; rejected = they could not be used, the old ones stay.",
		"short",
		[query(`sum by (result) (${rate("shardcast_tls_reloads_total")})`, "{{result}}")],
		{ stack: true },
	),
	lines(
		"Commands of operators",
		"Commands of the admin interface that change something, by outcome, requests without the right key, and connections that there was no room for.",
		"short",
		[
			query(`sum by (outcome) (${rate("shardcast_admin_operations_total")})`, "{{outcome}}"),
			query(`sum by (result) (${rate("shardcast_admin_requests_total", 'result!="admitted"')})`, "over HTTP: {{result}}"),
			query(`sum(${rate("shardcast_admin_connections_closed_total")})`, "connections closed: no room"),
		],
		{ stack: true },
	),
	lines(
		"Drops",
		"Messages not delivered or not published, by reason.",
		"short",
		[query(`sum by (reason) (${rate("shardcast_drops_total")})`, "{{reason}}")],
		{ stack: true },
	),
]);

const shards = dashboard("shardcast-shards", "shardcast: shards and CPU", "How the work is spread over the cores.", [
	bars(
		"CPU now",
		"Share of its core that each process uses.",
		"percentunit",
		[query(`shardcast:shard_cpu:rate1m${on}`, "shard {{shard}}"), query(`rate(shardcast_balancer_cpu_seconds_total${on}[1m])`, "balancer")],
		{
			max: 1,
			thresholds: [
				[0, "green"],
				[0.75, "yellow"],
				[0.9, "red"],
			],
		},
	),
	bars("Clients now", "WebSockets open on each shard.", "none", [query(`websocket_active_connections${on}`, "shard {{shard}}")], {
		thresholds: good,
	}),
	bars("Core", "CPU that each shard is pinned to; -1 means not pinned.", "none", [query(`shardcast_shard_core${on}`, "shard {{shard}}")], {
		thresholds: good,
	}),
	lines(
		"CPU by shard",
		"Share of one core. Shards do the same work when each has the same number of clients.",
		"percentunit",
		[query(rate("shardcast_shard_cpu_seconds_total"), "shard {{shard}}")],
		{ max: 1, width: 12, height: 9 },
	),
	lines(
		"CPU of everything",
		"All processes of the cluster, in cores.",
		"none",
		[
			query(rate("shardcast_shard_cpu_seconds_total"), "shard {{shard}}"),
			query(rate("shardcast_balancer_cpu_seconds_total"), "balancer"),
			query(rate("process_cpu_seconds_total", 'process="supervisor"'), "supervisor"),
		],
		{ stack: true, width: 12, height: 9 },
	),
	lines("CPU per delivery", "CPU time of a shard for one message to one client.", "s", [
		query(`${rate("shardcast_shard_cpu_seconds_total")} / (${rate("shardcast_deliveries_total")} > 0)`, "shard {{shard}}"),
	]),
	lines("Loop delay", "How late the event loops ran their timers, 99th percentile of a second.", "s", [
		query(`shardcast_shard_loop_lag_p99_seconds${on}`, "shard {{shard}}"),
		query(`shardcast_balancer_loop_lag_p99_seconds${on}`, "balancer"),
	]),
	lines("Memory", "Resident memory of each process.", "bytes", [
		query(`shardcast_shard_resident_bytes${on}`, "shard {{shard}}"),
		query(`shardcast_balancer_resident_bytes${on}`, "balancer"),
	]),
	lines(
		"Guards",
		"How much of each guard's threshold is reached; from 100 % on it acts: new clients get 503, or reading from Kafka pauses.",
		"percentunit",
		[query(`shardcast_guard_value${on} / (shardcast_guard_threshold${on} > 0)`, "{{guard}} {{shard}}")],
	),
	lines("Guards that act", "1 while a guard acts, and how often guards have begun to in five minutes.", "short", [
		query(`shardcast_guard_active${on} > 0`, "{{guard}} {{shard}}"),
		query(`increase(shardcast_guard_activations_total${on}[5m]) > 0`, "{{guard}} {{shard}} began"),
	]),
	lines("Descriptors", "Open files and sockets of each shard, as a share of its limit.", "percentunit", [
		query(`shardcast_shard_open_files${on} / (shardcast_shard_open_files_limit${on} > 0)`, "shard {{shard}}"),
	]),
	lines(
		"Clients told to leave",
		"Clients per second that were told to reconnect: by a drain, a restart, a rolling restart or a rebalance.",
		"short",
		[query(`${rate("shardcast_clients_told_to_leave_total")} > 0`, "shard {{shard}}")],
	),
	row("Flushes and bus"),
	lines("Pause between flushes", "0 while messages go out as they come; grows with the load up to --flush-max.", "s", [
		query(`shardcast_flush_interval_seconds${on}`, "shard {{shard}}"),
	]),
	lines("Records per flush", "How much the flushes merge: the mean.", "short", [
		query(`${rate("shardcast_flush_records_sum")} / (${rate("shardcast_flush_records_count")} > 0)`, "shard {{shard}}"),
	]),
	lines("Flush duration", "Time that a flush took, 99th percentile.", "s", [
		query(quantile(0.99, "shardcast_flush_duration_seconds", ", shard"), "shard {{shard}}"),
	]),
	lines(
		"Own ring",
		"Part of each shard's ring that its slowest reader has not read yet.",
		"percentunit",
		[query(`shardcast_bus_depth_bytes${on} / (shardcast_ring_capacity_bytes${on} > 0)`, "shard {{shard}}")],
		{ max: 1 },
	),
	lines("Backlog", "Bytes in all rings that each shard has not read yet.", "bytes", [
		query(`shardcast_bus_backlog_bytes${on}`, "shard {{shard}}"),
	]),
	lines("Doorbells", "Times per second that a doorbell woke a shard; none under load.", "short", [
		query(rate("shardcast_doorbells_total"), "shard {{shard}}"),
	]),
]);

const latency = dashboard("shardcast-latency", "shardcast: latency", "Where the time goes between publishing and sending.", [
	heatMap(
		"Publication to socket",
		"Every delivery of all shards, by how long it took.",
		"s",
		`sum by (le) (${rate("shardcast_publish_to_send_seconds_bucket")})`,
	),
	heatMap(
		"Kafka to socket",
		"Every delivery of a record from Kafka, from its receipt to the client's socket.",
		"s",
		`sum by (le) (${rate("shardcast_ingest_to_send_seconds_bucket")})`,
	),
	lines(
		"Publication to socket, p99 by shard",
		"A shard above the others has too much to do, or shares its core.",
		"s",
		[query(quantile(0.99, "shardcast_publish_to_send_seconds", ", shard"), "shard {{shard}}")],
		{ width: 12 },
	),
	lines(
		"Flush duration by shard",
		"p50 and p99: a message waits for the flush before its own.",
		"s",
		[
			query(quantile(0.5, "shardcast_flush_duration_seconds", ", shard"), "p50 shard {{shard}}"),
			query(quantile(0.99, "shardcast_flush_duration_seconds", ", shard"), "p99 shard {{shard}}"),
		],
		{ width: 12 },
	),
	lines(
		"Slow messages",
		"Publications that took longer than --slow-message-log; the log says where the slowest spent their time.",
		"short",
		[query(rate("shardcast_slow_messages_total"), "shard {{shard}}")],
	),
	lines("Spans of traces", "Spans that the collector has got, and those that were lost on the way.", "short", [
		query(`sum by (result) (${rate("shardcast_trace_spans_total")})`, "{{result}}"),
	]),
	heatMap("Records per flush", "How many records the flushes merge.", "none", `sum by (le) (${rate("shardcast_flush_records_bucket")})`),
]);

const kafka = dashboard("shardcast-kafka", "shardcast: Kafka", "How ingest keeps up.", [
	lines("Records", "Records consumed, by topic. In per-shard mode every shard consumes each.", "short", [
		query(`sum by (topic, shard) (${rate("shardcast_kafka_records_total")})`, "{{topic}} shard {{shard}}"),
	]),
	lines("Bytes", "Bytes of the values consumed, by topic.", "Bps", [
		query(`sum by (topic) (${rate("shardcast_kafka_bytes_total")})`, "{{topic}}"),
	]),
	lines("Lag by shard", "Records in Kafka that have not reached the shard's clients yet.", "short", [
		query(`shardcast:kafka_lag_records:sum${on}`, "shard {{shard}}"),
	]),
	lines(
		"Lag by partition",
		"The worst partitions.",
		"short",
		[query(`topk(10, shardcast_kafka_lag_records${on})`, "{{topic}}/{{partition}} shard {{shard}}")],
		{ width: 12 },
	),
	lines(
		"Receipt to socket",
		"From the record's receipt to the client's socket.",
		"s",
		[query(quantile(0.5, "shardcast_ingest_to_send_seconds"), "p50"), query(quantile(0.99, "shardcast_ingest_to_send_seconds"), "p99")],
		{ width: 12 },
	),
	lines(
		"Paused",
		"Share of the time for which reading was paused because the ring was full.",
		"percentunit",
		[query(rate("shardcast_kafka_paused_seconds_total"), "shard {{shard}}")],
		{ max: 1 },
	),
	lines("Pauses", "Times per second that consuming was paused.", "short", [query(rate("shardcast_kafka_pauses_total"), "shard {{shard}}")]),
	lines("Ingest ring", "Bytes between the ingest thread and the loop, now and at most.", "bytes", [
		query(`shardcast_kafka_ring_depth_bytes${on}`, "now, shard {{shard}}"),
		query(`shardcast_kafka_ring_high_water_bytes${on}`, "most, shard {{shard}}"),
	]),
	lines("Time since the last commit", "Grows while commits fail.", "s", [
		query(`shardcast_kafka_commit_age_seconds${on}`, "shard {{shard}}"),
	]),
	lines("Partitions", "Partitions per second that a shard started to read or gave up.", "short", [
		query(`sum by (change, shard) (${rate("shardcast_kafka_rebalances_total")})`, "{{change}} shard {{shard}}"),
	]),
	lines(
		"Not delivered",
		"Records taken and not delivered, by reason.",
		"short",
		[query(`sum by (reason) (${rate("shardcast_kafka_skipped_total")})`, "{{reason}}")],
		{ stack: true },
	),
	lines("Dead letters", "Records for --kafka-dead-letter: written there, or lost.", "short", [
		query(`sum by (outcome) (${rate("shardcast_kafka_dead_letters_total")})`, "{{outcome}}"),
	]),
	lines("Published", "Messages of clients written to Kafka, with --publish-via kafka.", "short", [
		query(`sum by (outcome) (${rate("shardcast_kafka_produced_total")})`, "{{outcome}}"),
	]),
	lines(
		"Errors",
		"Errors with the brokers, by kind.",
		"short",
		[query(`sum by (kind) (${rate("shardcast_kafka_errors_total")})`, "{{kind}}")],
		{ stack: true },
	),
	lines("Held up", "Records that had to wait for the bus, and restarts of ingest threads, per second.", "short", [
		query(rate("shardcast_kafka_bus_full_total"), "bus full, shard {{shard}}"),
		query(rate("shardcast_kafka_worker_restarts_total"), "thread restarted, shard {{shard}}"),
	]),
	lines("Partitions by source", "Read from Kafka by the node itself, or passed on by another node (shared mode with Redis).", "none", [
		query(`sum by (instance, source) (shardcast_kafka_partitions${on})`, "{{instance}} {{source}}"),
	]),
	lines("Passed on between nodes", "Answers of Kafka per second; dropped ones are read from Kafka by each node.", "short", [
		query(`sum by (instance, outcome) (${rate("shardcast_kafka_relay_answers_total")})`, "{{instance}} {{outcome}}"),
	]),
	lines("Read from Kafka again", "Times per second that a partition was no longer taken from another node, by reason.", "short", [
		query(`sum by (instance, reason) (${rate("shardcast_kafka_follow_ends_total")})`, "{{instance}} {{reason}}"),
	]),
]);

const nodes = dashboard("shardcast-nodes", "shardcast: several machines", "The nodes of the cluster, and their connections to Redis.", [
	lines("Nodes", "The nodes that each node knows, by health. If the lines of two nodes differ, one of them is cut off.", "none", [
		query(`shardcast_nodes${on}`, "{{instance}} {{health}}"),
	]),
	lines("State", "A node without a line is not a member: the others treat it as gone.", "none", [
		query(`shardcast_node_state${by('state="member"')} == 1`, "{{instance}}"),
	]),
	lines("Connections of all nodes", "As of their last heartbeats.", "none", [query(`max(shardcast_nodes_connections${on})`)]),
	lines("Messages of all nodes", "Messages and payload bytes per second that they take from clients and HTTP.", "short", [
		query(`max(shardcast_nodes_messages_per_second${on})`, "messages"),
		query(`max(shardcast_nodes_bytes_per_second${on})`, "bytes"),
	]),
	lines("Joined and left", "Nodes that joined, left or changed, as each node sees it.", "short", [
		query(`sum by (event, instance) (${rate("shardcast_node_events_total")})`, "{{instance}} {{event}}"),
	]),
	lines("Heartbeats", "By result. Those that fail because Redis cannot be reached are tried again.", "short", [
		query(`sum by (result, instance) (${rate("shardcast_node_heartbeats_total")})`, "{{instance}} {{result}}"),
	]),
	lines("Cut off", "Share of the time in which a node could send no heartbeat to the others, and how often that began.", "percentunit", [
		query(rate("shardcast_node_cut_off_seconds_total"), "{{instance}}"),
		query(rate("shardcast_node_cut_off_total"), "{{instance}} began"),
	]),
	lines("Commands to Redis", "By process and result.", "short", [
		query(`sum by (result, instance, process) (${rate("shardcast_redis_commands_total")})`, "{{instance}} {{process}} {{result}}"),
	]),
	lines("Answers of Redis", "Time from a command to its answer.", "s", [
		query(quantile(0.5, "shardcast_redis_command_seconds"), "p50"),
		query(quantile(0.99, "shardcast_redis_command_seconds"), "p99"),
	]),
	lines("Connections to Redis", "1 while a process is connected to Redis, and how often it lost the connection.", "short", [
		query(`shardcast_redis_state${by('state="ready"')}`, "{{instance}} {{process}}"),
		query(rate("shardcast_redis_connections_lost_total"), "{{instance}} {{process}}: lost"),
	]),
	lines("Waiting for Redis", "Commands that wait until it can be reached.", "none", [
		query(`shardcast_redis_waiting${on}`, "{{instance}} {{process}}"),
	]),
	lines("Messages from Redis", "Messages received from the channels that a process has subscribed to.", "short", [
		query(rate("shardcast_redis_messages_total"), "{{instance}} {{process}}"),
		query(`shardcast_redis_subscriptions${on}`, "{{instance}} {{process}}: channels"),
	]),
	lines("Publications with history", "By the result in Redis, and those that a node brought to its clients.", "short", [
		query(`sum by (outcome, instance) (${rate("shardcast_shared_publications_total")})`, "{{instance}} {{outcome}}"),
		query(`sum by (way, instance) (${rate("shardcast_shared_brought_total")})`, "{{instance}} brought: {{way}}"),
	]),
	lines("Lost publications", "Publications with history that did not reach a node. Their subscribers were told.", "short", [
		query(`sum by (reason, instance) (${rate("shardcast_shared_lost_total")})`, "{{instance}} {{reason}}"),
		query(`sum by (instance) (${rate("shardcast_shared_recovery_reads_total")})`, "{{instance}} reads for recovery"),
	]),
	lines("Messages without history", "Messages that the nodes exchange, and those that were dropped.", "short", [
		query(`sum by (direction, instance) (${rate("shardcast_node_messages_total")})`, "{{instance}} {{direction}}"),
		query(`sum by (reason, instance) (${rate("shardcast_node_messages_dropped_total")})`, "{{instance}} dropped: {{reason}}"),
		query(`sum by (instance) (${rate("shardcast_node_batches_missed_total")})`, "{{instance}} batches lost on the way"),
	]),
	lines("Load of all nodes", "Connections as part of what they can take, and scale events.", "percentunit", [
		query(`max(shardcast_nodes_load${on})`, "load"),
		query(`sum by (event) (${rate("shardcast_node_scale_events_total")})`, "events per second: {{event}}"),
	]),
	lines("Rebalance", "Clients asked to connect again, those still to be asked, and orders.", "short", [
		query(`sum by (instance) (${rate("shardcast_node_rebalanced_clients_total")})`, "{{instance}} asked"),
		query(`shardcast_node_rebalance_pending${on}`, "{{instance}} still to be asked"),
		query(`sum by (instance) (${rate("shardcast_node_rebalances_total")})`, "{{instance}} orders"),
	]),
	lines("Nodes selected for clients", "Answers of /cluster/select, and of selectNode, by result.", "short", [
		query(`sum by (result, instance) (${rate("shardcast_node_selections_total")})`, "{{instance}} {{result}}"),
	]),
	lines("Sessions", "Sessions of users and connections that nodes looked up or assigned, by outcome.", "short", [
		query(`sum by (outcome, instance) (${rate("shardcast_node_sessions_total")})`, "{{instance}} {{outcome}}"),
	]),
	lines(
		"Edges: connections",
		"Connections that edges assigned to nodes, by result, and those that they refused or closed themselves.",
		"short",
		[
			query(`sum by (node, result, instance) (${rate("shardcast_edge_assignments_total")})`, "{{instance}} {{node}}: {{result}}"),
			query(`sum by (outcome, instance) (${rate("shardcast_edge_connections_total")})`, "{{instance}} {{outcome}}"),
			query(`sum by (instance) (${rate("shardcast_edge_idle_closed_total")})`, "{{instance}} closed: idle"),
			query(`sum by (instance) (${rate("shardcast_edge_taken_back_total")})`, "{{instance}} taken back"),
		],
	),
	lines("Edges: nodes", "Connections that each node has through an edge, and whether it gets new ones.", "short", [
		query("sum by (node, instance) (shardcast_edge_open_connections)", "{{instance}} {{node}}"),
		query("sum by (node, instance) (shardcast_edge_node_up)", "{{instance}} {{node}} gets clients"),
	]),
	lines(
		"Remote shards: connections",
		"Connections that each shard of another machine has through a balancer, and those that balancers have closed because nothing passed.",
		"short",
		[
			query("sum by (remote, instance) (shardcast_balancer_remote_open_connections)", "{{instance}} {{remote}}"),
			query(`sum by (instance) (${rate("shardcast_balancer_remote_idle_closed_total")})`, "{{instance}} closed: idle"),
		],
	),
	lines("Remote shards: state", "Whether each gets new clients, and how many of its assignments fail.", "short", [
		query("sum by (remote, instance) (shardcast_balancer_remote_up)", "{{instance}} {{remote}} gets clients"),
		query(
			`sum by (remote, instance) (${rate("shardcast_balancer_remote_assignments_total", 'result="failed"')})`,
			"{{instance}} {{remote}}: failed",
		),
	]),
	lines(
		"Gateways: clients and backends",
		"Clients of gateways, those that a gateway closed or refused, and whether its backends are up.",
		"short",
		[
			query("sum by (instance) (shardcast_gateway_clients)", "{{instance}} clients"),
			query(`sum by (cause, instance) (${rate("shardcast_gateway_clients_closed_total")})`, "{{instance}} closed: {{cause}}"),
			query(`sum by (reason, instance) (${rate("shardcast_gateway_clients_refused_total")})`, "{{instance}} refused: {{reason}}"),
			query("sum by (backend, instance) (shardcast_gateway_backend_up)", "{{instance}} {{backend}} up"),
			query(
				`sum by (backend, reason, instance) (${rate("shardcast_gateway_backend_ends_total")})`,
				"{{instance}} {{backend}} ended: {{reason}}",
			),
		],
	),
	lines("Gateways: frames", "Frames that gateways passed on, and those that they dropped, refused or skipped.", "short", [
		query(`sum by (way, instance) (${rate("shardcast_gateway_frames_total")})`, "{{instance}} {{way}}"),
		query(`sum by (reason, instance) (${rate("shardcast_gateway_frames_dropped_total")})`, "{{instance}} dropped: {{reason}}"),
		query(`sum by (reason, instance) (${rate("shardcast_gateway_frames_refused_total")})`, "{{instance}} refused: {{reason}}"),
		query(`sum by (instance) (${rate("shardcast_gateway_video_skipped_total")})`, "{{instance}} VIDEO skipped"),
		query(`sum by (instance) (${rate("shardcast_gateway_ack_timeouts_total")})`, "{{instance}} ACKs overdue"),
		query(`sum by (backend, instance) (${rate("shardcast_gateway_backend_undelivered_total")})`, "{{instance}} {{backend}} perhaps lost"),
	]),
	lines("Gateways: bytes", "Payloads of these frames, and memory for those that wait.", "bytes", [
		query(`sum by (way, instance) (${rate("shardcast_gateway_bytes_total")})`, "{{instance}} {{way}} per second"),
		query("sum by (instance) (shardcast_gateway_buffer_bytes)", "{{instance}} buffers"),
	]),
	lines("Gateways: queues", "Frames that wait for clients and backends, and what happens when a queue is nearly full.", "short", [
		query("sum by (queue, instance) (shardcast_gateway_queue_frames)", "{{instance}} {{queue}}"),
		query("sum by (instance) (shardcast_gateway_held_frames)", "{{instance}} held"),
		query(`sum by (instance) (${rate("shardcast_gateway_deferred_frames_total")})`, "{{instance}} deferred"),
		query(`sum by (queue, instance) (${rate("shardcast_gateway_queue_dropped_total")})`, "{{instance}} {{queue}} dropped"),
		query(`sum by (queue, instance) (${rate("shardcast_gateway_queue_pressed_total")})`, "{{instance}} {{queue}} nearly full"),
		query(
			`sum by (backend, reason, instance) (${rate("shardcast_gateway_backend_paused_total")})`,
			"{{instance}} {{backend}} not read: {{reason}}",
		),
		query(`sum by (instance) (${rate("shardcast_gateway_buffers_refused_total")})`, "{{instance}} no buffer"),
	]),
	lines("Gateways: latency", "Average time of a frame in a gateway, from a backend to a client's socket.", "s", [
		query(
			`sum by (instance) (${rate("shardcast_gateway_wait_seconds_total")}) / sum by (instance) (${rate("shardcast_gateway_waits_total")})`,
			"{{instance}}",
		),
	]),
	lines(
		"Questions between nodes",
		"Answers of other nodes, questions that a node answered for others, and messages that it could not read.",
		"short",
		[
			query(`sum by (result, instance) (${rate("shardcast_node_answers_total")})`, "{{instance}} answers: {{result}}"),
			query(`sum by (result, instance) (${rate("shardcast_node_requests_total")})`, "{{instance}} requests: {{result}}"),
			query(`sum by (instance) (${rate("shardcast_node_control_unreadable_total")})`, "{{instance}} unreadable"),
		],
	),
	lines("Blocked users and revoked tokens", "Changes of the list that the nodes share, and those that Redis does not have yet.", "short", [
		query(`sum by (direction, instance) (${rate("shardcast_shared_revocations_total")})`, "{{instance}} {{direction}}"),
		query(`sum by (result, instance) (${rate("shardcast_shared_revocations_reads_total")})`, "{{instance}} reads: {{result}}"),
		query(`sum by (instance) (shardcast_shared_revocations_pending${on})`, "{{instance}} waiting"),
	]),
	lines("Messages published to Redis", "Messages that backends publish through Redis, by what each node did with them.", "short", [
		query(`sum by (result, instance) (${rate("shardcast_redis_published_total")})`, "{{instance}} {{result}}"),
	]),
	lines("Bytes saved by compression", "Bytes that the shards did not have to send to Redis.", "Bps", [
		query(`sum by (what, instance) (${rate("shardcast_redis_compression_saved_bytes_total")})`, "{{instance}} {{what}}"),
	]),
	lines("Channels of Redis", "Channels with history that a shard brings to its node, and those that its clients need.", "none", [
		query(`sum by (what, instance) (shardcast_shared_channels${on})`, "{{instance}} {{what}}"),
	]),
	lines("Rows of the outbox", "By result, and tries that have to be repeated.", "short", [
		query(`sum by (result, instance) (${rate("shardcast_outbox_rows_total")})`, "{{instance}} {{result}}"),
		query(`sum by (instance) (${rate("shardcast_outbox_retries_total")})`, "{{instance}} tried again"),
	]),
	lines(
		"PostgreSQL",
		"Durable channels, blocked users and revoked tokens: writes by result, whether it is connected, and lost connections.",
		"short",
		[
			query(`sum by (result, instance) (${rate("shardcast_postgres_store_writes_total")})`, "{{instance}} publications {{result}}"),
			query(`sum by (result, instance) (${rate("shardcast_postgres_revocations_writes_total")})`, "{{instance}} entries {{result}}"),
			query(`min by (instance) (shardcast_postgres_store_connected${on})`, "{{instance}} durable channels connected"),
			query(`min by (instance) (shardcast_postgres_revocations_connected${on})`, "{{instance}} blocked users connected"),
			query(`sum by (instance) (${rate("shardcast_postgres_store_connections_lost_total")})`, "{{instance}} lost (durable channels)"),
			query(`sum by (instance) (${rate("shardcast_postgres_revocations_connections_lost_total")})`, "{{instance}} lost (blocked users)"),
		],
	),
	lines("Age of the outbox", "Age of the oldest row that is not published.", "s", [
		query(`max(shardcast_outbox_lag_seconds${on})`, "oldest row"),
	]),
	lines(
		"Reader of the outbox",
		"1 for the node that publishes it, channels that have to wait, and lost connections to PostgreSQL.",
		"none",
		[
			query(`sum by (instance) (shardcast_outbox_reader${on})`, "{{instance}}"),
			query(`sum by (instance) (shardcast_outbox_waiting_channels${on})`, "{{instance}} waiting channels"),
			query(`sum by (instance) (${rate("shardcast_outbox_connections_lost_total")})`, "{{instance}} lost"),
		],
	),
]);

const channels = dashboard(
	"shardcast-channels",
	"shardcast: channels",
	"What clients of the Centrifuge protocol do, and how history keeps up.",
	[
		lines("Subscriptions", "Subscriptions that exist now, by encoding.", "short", [
			query(`sum by (protocol) (shardcast_subscriptions${on})`, "{{protocol}}"),
		]),
		lines("Commands", "Commands of clients, by method.", "short", [
			query(`sum by (method) (${rate("shardcast_commands_total")}) > 0`, "{{method}}"),
		]),
		lines(
			"Errors",
			"Commands that were answered with an error, by code: 103 = not allowed, 109 = the token has expired, 111 = too many.",
			"short",
			[
				query(`sum by (code) (${rate("shardcast_subscribe_errors_total")}) > 0`, "subscribe: {{code}}"),
				query(`sum by (code) (${rate("shardcast_command_errors_total")}) > 0`, "other: {{code}}"),
			],
		),
		lines("Recoveries", "Reconnected clients that requested missed publications, by result.", "short", [
			query(`sum by (result) (${rate("shardcast_recoveries_total")})`, "{{result}}"),
		]),
		lines("Recovered publications", "Publications that such clients got.", "short", [
			query(sumRate("shardcast_recovered_publications_total"), "publications"),
		]),
		lines("Publications with history", "Publications added to a history, and repeats recognised by their idempotency key.", "short", [
			query(sumRate("shardcast_history_publications_total"), "kept"),
			query(sumRate("shardcast_history_duplicates_total"), "duplicates"),
		]),
		lines(
			"History fill",
			"Share of --history-memory, --history-channels and --idempotency-keys in use. Memory at 1 is normal: the oldest publications are replaced. The others should stay below 0.75.",
			"percentunit",
			[query(`max by (part) (shardcast_history_fill_ratio${on})`, "{{part}}")],
			{ max: 1 },
		),
		lines("History lost", "History that is gone before history_size and history_ttl say so, by what shows it.", "short", [
			query(`sum by (what) (${rate("shardcast_history_evictions_total")})`, "{{what}}"),
		]),
		lines("No room", "Attempts to publish into a history that found no room, by reason; most are tried again.", "short", [
			query(`sum by (reason) (${rate("shardcast_history_full_total")})`, "{{reason}}"),
		]),
		lines(
			"Repaired after kills",
			"Publications that another process completed, and locks that were freed, after a process was killed.",
			"short",
			[
				query(sumRate("shardcast_history_finished_total"), "publications completed"),
				query(sumRate("shardcast_history_locks_freed_total"), "locks freed"),
			],
		),
		lines("Clients without WebSocket", "Frames from POST /emulation, by outcome.", "short", [
			query(`sum by (result) (${rate("shardcast_emulation_frames_total")})`, "{{result}}"),
		]),
		lines(
			"Consumers",
			"Acknowledgements of durable channels; deliveries repeated for want of one, and consumers whose next publication was lost.",
			"short",
			[
				query(sumRate("shardcast_durable_acknowledgements_total"), "acknowledgements"),
				query(`sum by (reason) (${rate("shardcast_durable_subscriptions_total")})`, "{{reason}}"),
			],
		),
		lines("Durable store", "Times per second that the store could not be read or written.", "short", [
			query(rate("shardcast_durable_store_failures_total"), "shard {{shard}}"),
		]),
		lines("Size of the durable store", "History in the durable store of the machine.", "bytes", [
			query(`max(shardcast_durable_store_size_bytes${on})`, "history"),
		]),
		lines("Positions of consumers", "Positions in the durable store of the machine.", "none", [
			query(`max(shardcast_durable_positions${on})`, "positions"),
		]),
		lines(
			"Disconnects by the protocol",
			"Clients closed with a code of the Centrifuge protocol, such as 3501 = the client broke its rules.",
			"short",
			[query(`sum by (code) (${rate("shardcast_disconnects_total", 'code=~"3..."')}) > 0`, "{{code}}")],
			{ stack: true },
		),
	],
);

const backend = dashboard(
	"shardcast-backend",
	"shardcast: backend",
	"Hooks, webhooks and the server API: what the backend answers, and how fast.",
	[
		lines(
			"Hook requests",
			"Questions to the backend about clients, by hook and what came of them; everything but reply and abandoned is a failure.",
			"short",
			[query(`sum by (hook, result) (${rate("shardcast_hook_requests_total")}) > 0`, "{{hook}}: {{result}}")],
			{ stack: true },
		),
		lines(
			"Hook failures",
			"Share of each hook's questions that failed. A client that waits for one is refused or goes on, as on_failure says.",
			"percentunit",
			[
				query(
					`sum by (hook, proxy) (${rate("shardcast_hook_requests_total", 'result!~"reply|abandoned"')}) / (sum by (hook, proxy) (${rate("shardcast_hook_requests_total")}) > 0)`,
					"{{hook}} ({{proxy}})",
				),
			],
			{ max: 1 },
		),
		lines(
			"Hook latency",
			"Time from a client's question to the backend's reply or its failure, the wait for a free request included.",
			"s",
			[
				query(quantile(0.5, "shardcast_hook_duration_seconds", ", hook"), "p50 {{hook}}"),
				query(quantile(0.99, "shardcast_hook_duration_seconds", ", hook"), "p99 {{hook}}"),
			],
		),
		lines("Hooks waiting", "Questions without an answer: running at the backend, or waiting for one of max_requests.", "short", [
			query(`sum by (proxy, state) (shardcast_hook_pending${on})`, "{{proxy}}: {{state}}"),
		]),
		lines(
			"Hook replies with an error status",
			"Replies of the backend with another HTTP status than 200, questions that were sent once more, and clients that went on after a failure.",
			"short",
			[
				query(`sum by (hook, status) (${rate("shardcast_hook_statuses_total")})`, "{{hook}}: {{status}}"),
				query(`sum by (hook) (${rate("shardcast_hook_repeats_total")}) > 0`, "{{hook}}: sent again"),
				query(`sum by (hook) (${rate("shardcast_hook_passes_total")}) > 0`, "{{hook}}: went on"),
			],
		),
		lines(
			"Blocked users and revoked tokens",
			"Attempts to connect that were refused, and what was ended; in force is how many entries there are now.",
			"short",
			[
				query(`max by (kind) (shardcast_revocations${on})`, "in force: {{kind}}"),
				query(sumRate("shardcast_revoked_refused_total"), "refused per second"),
				query(`sum by (kind) (${rate("shardcast_revoked_ended_total")})`, "ended per second: {{kind}}"),
			],
		),
		row("Webhooks"),
		lines("Webhook events", "Events that receivers of webhooks have got, and those that were dropped because a queue was full.", "short", [
			query(`sum by (webhook, result) (${rate("shardcast_webhook_events_total")})`, "{{webhook}}: {{result}}"),
		]),
		lines("Webhook failures", "Requests of webhooks that failed, by result; their events are sent again.", "short", [
			query(`sum by (webhook, result) (${rate("shardcast_webhook_requests_total", 'result!="ok"')})`, "{{webhook}}: {{result}}"),
		]),
		lines("Webhooks waiting", "Events that a receiver has not got yet.", "short", [
			query(`sum by (webhook) (shardcast_webhook_waiting_events${on})`, "{{webhook}}"),
		]),
		lines("Webhooks behind", "How long the oldest event that a receiver has not got has waited.", "s", [
			query(`max by (webhook) (shardcast_webhook_oldest_seconds${on})`, "{{webhook}}"),
		]),
	],
);

const faults = dashboard("shardcast-faults", "shardcast: faults", "What broke, when, and what it cost.", [
	states("Shards", "When each shard served.", [query(serving, "shard {{shard}}")]),
	lines(
		"Number of shards",
		"Shards that there should be, and that there are. They differ while the cluster is scaled, or when that did not succeed.",
		"none",
		[query(`max(shardcast_shards_wanted${on})`, "wanted"), query(`max(shardcast_shards_present${on})`, "present")],
	),
	lines("Restarts", "Processes restarted after they died or hung.", "none", [
		query(`increase(shardcast_shard_restarts_total${on}[$__rate_interval])`, "shard {{shard}}"),
		query(`increase(shardcast_balancer_restarts_total${on}[$__rate_interval])`, "balancer"),
	]),
	lines("Heartbeats", "Time since the last one. A process that stays silent for --heartbeat-timeout is killed and restarted.", "s", [
		query(`shardcast_shard_heartbeat_age_seconds${on}`, "shard {{shard}}"),
		query(`shardcast_balancer_heartbeat_age_seconds${on}`, "balancer"),
	]),
	lines("Uptime", "Time that each shard's process has served.", "s", [query(`shardcast_shard_uptime_seconds${on}`, "shard {{shard}}")]),
	lines(
		"Disconnects by code",
		"1001 drain or page left, 1006 broken, 1009 too big, 1011 error in the server, 1013 bus full, 3008 too slow, 3507 sent where clients only receive.",
		"short",
		[query(`sum by (code) (${rate("shardcast_disconnects_total")})`, "{{code}}")],
		{ stack: true },
	),
	lines(
		"Refused",
		"Refused connections, by reason; tokens with a user id of more than 255 bytes.",
		"short",
		[
			query(`sum by (outcome) (${rate("shardcast_balancer_connections_total", 'outcome=~"refused_.*|send_error"')})`, "{{outcome}}"),
			query(`sum by (reason) (${rate("shardcast_connections_refused_total")})`, "shard: {{reason}}"),
			query(sumRate("shardcast_user_ids_too_long_total"), "user id too long"),
		],
		{ stack: true },
	),
	lines(
		"Addresses not followed",
		"More client addresses than can be tracked: the limits per address are less exact.",
		"short",
		[query(`sum by (kind) (${rate("shardcast_addresses_lost_total")})`, "shards: {{kind}}")],
		{ stack: true },
	),
	lines(
		"Configuration reloads",
		"Reloads of the configuration (SIGHUP), by result; rejected = the file was wrong, nothing changed.",
		"short",
		[query(`sum by (result) (${rate("shardcast_config_reloads_total")})`, "{{result}}")],
		{ stack: true },
	),
	lines(
		"Drops",
		"Messages not delivered or not published, by reason.",
		"short",
		[query(`sum by (reason) (${rate("shardcast_drops_total")})`, "{{reason}}")],
		{ stack: true },
	),
	lines(
		"Slow clients",
		"Clients that are behind now; those closed because they read too slowly, also because all of them together took too much memory; those that delivery gave up waiting for, and connections reset because the client did not read even then.",
		"short",
		[
			query("sum(shardcast_slow_clients)", "behind (now)"),
			query(sumRate("shardcast_clients_cut_for_memory_total"), "closed for memory"),
			query(sumRate("shardcast_disconnects_total", 'code="3008"'), "closed with 3008"),
			query(sumRate("shardcast_clients_given_up_total"), "given up waiting for"),
			query(sumRate("shardcast_clients_reset_total"), "reset"),
		],
	),
	lines(
		"Unread bytes",
		"What waits in the shards for all clients together, and how much of it in lanes. The limit of each shard is --max-buffered-total; the last line counts how often it was reached.",
		"bytes",
		[
			query("shardcast_unread_bytes", "shard {{shard}}"),
			query("shardcast_lane_bytes", "shard {{shard}}: in lanes"),
			query(sumRate("shardcast_unread_limited_total"), "limit reached per second"),
		],
	),
	lines(
		"Clients in a lane",
		"Clients whose messages wait in a separate queue until they have read, how often one came there and why, and subscriptions with recovery that ended with 2500 there; commands that waited because too much is unread. Per second but for the first two.",
		"short",
		[
			query("sum(shardcast_lane_clients)", "clients (now)"),
			query("sum(shardcast_lane_messages)", "messages (now)"),
			query(`sum by (reason) (${rate("shardcast_lane_entered_total")})`, "entered: {{reason}}"),
			query(sumRate("shardcast_lane_gaps_total"), "ended with 2500"),
			query(sumRate("shardcast_commands_held_total"), "commands held"),
		],
	),
	lines(
		"Waiting for clients",
		"Share of the time in which delivery waited for clients to read, in bursts, and how often it did per second.",
		"short",
		[
			query(rate("shardcast_delivery_wait_seconds_total"), "shard {{shard}}: share of the time"),
			query(rate("shardcast_delivery_waits_total"), "shard {{shard}}: times"),
		],
	),
	lines("Publishes cut short", "HTTP request bodies that were dropped because they were slow (408), or found no room (503).", "short", [
		query(`sum by (reason) (${rate("shardcast_request_bodies_lost_total")})`, "{{reason}}"),
	]),
	lines("Errors caught", "Requests and connections that a shard failed on. Each is a bug: the shard's log has the stack.", "short", [
		query(rate("shardcast_callback_errors_total"), "shard {{shard}}"),
	]),
	lines("Back-pressure", "Publishes that found the bus full, by the shard whose ring it was.", "short", [
		query(rate("shardcast_bus_backpressured_total"), "shard {{shard}}"),
	]),
	lines(
		"Records not understood",
		"Bus records of a type that a shard does not know; only while shards of different versions run.",
		"short",
		[query(rate("shardcast_bus_records_unknown_total"), "shard {{shard}}")],
	),
	lines("Hand-over troubles", "Connections that could not be handed over or taken, and batches sent again.", "short", [
		query(sumRate("shardcast_handoff_errors_total"), "not taken"),
		query(sumRate("shardcast_handoff_retries_total"), "sent again"),
		query(sumRate("shardcast_handoffs_taken_back_total"), "taken back"),
		query(`sum by (kind) (${rate("shardcast_balancer_errors_total")})`, "{{kind}}"),
	]),
	lines("Missing answers", "Processes that did not answer the supervisor in time.", "none", [
		query(`sum by (question, source) (increase(shardcast_missing_answers_total${on}[$__rate_interval]))`, "{{source}}: {{question}}"),
	]),
]);

export const dashboards = { overview, nodes, channels, shards, latency, kafka, backend, faults };

/** The file of each dashboard as it should be. */
export const files = Object.fromEntries(
	Object.entries(dashboards).map(([name, content]) => [`${name}.json`, `${JSON.stringify(content, null, "\t")}\n`]),
);

if (argv[1] === import.meta.filename) {
	const given = argv.slice(2);
	if (given.length > 0) {
		const usage = "usage: npm run docs:dashboards    writes deploy/grafana/dashboards/*.json";
		if (!given.includes("--help")) console.error(`dashboards: unexpected "${given.join(" ")}"`);
		console.log(usage);
		exit(given.includes("--help") ? 0 : 2);
	}
	const directory = join(import.meta.dirname, "dashboards");
	mkdirSync(directory, { recursive: true });
	for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
}

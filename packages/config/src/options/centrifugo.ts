/**
 * Options of Centrifugo v6 that shardcast does not have: a file with them works, and says which of them have no effect. Whoever builds one
 * takes it out of here and makes it a row of an `options-*.ts`.
 */

const under = (section: string, keys: string) => keys.split(/\s+/).map((key) => `${section}.${key}`);

/** By their path in the file; a section stands for all that is in it. */
export const centrifugoOnly: ReadonlySet<string> = new Set([
	...`admin broker consumers debug dev emulation enable_unreleased_features engine graphite grpc_api health http_stream init
		map_broker opentelemetry pid_file presence_manager prometheus shared_poll sse swagger uni_grpc uni_http_stream uni_sse
		uni_websocket usage_stats webtransport`.split(/\s+/),
	...under("channel.proxy", "cache_empty map_publish map_remove shared_poll_refresh state subscribe_stream"),
	"rpc.ping",
	...under(
		"client",
		`channel_position_check_delay channel_position_max_time_lag concurrency connect_code_to_unidirectional_disconnect
		connect_include_server_time connection_limit connection_rate_limit insecure_skip_token_signature_verify
		presence_update_interval user_id_http_header`,
	),
	...under("client.rate_limit", "client_error ip_connect redis_user_command"),
	...under("http_server", "address external_address http3 internal_address internal_port internal_tls port tls_autocert tls_external"),
	...under(
		"http_server.tls",
		"client_ca_pem client_ca_pem_b64 client_ca_pem_file insecure_skip_verify server_ca_pem server_ca_pem_b64 server_ca_pem_file server_name",
	),
	...under("http_api", "disabled error_mode external handler_prefix insecure"),
	"log.file",
	...under(
		"websocket",
		`compression_level compression_prepared_message_cache_size disabled handler_prefix message_size_limit read_buffer_size
		use_write_buffer_pool write_buffer_size write_timeout`,
	),
	...under("node", "info_metrics_aggregate_interval name"),
]);

/** Sections of endpoints that shardcast has and that cannot be switched off. */
export const alwaysServed: ReadonlyMap<string, string> = new Map([
	["http_stream", "/connection/http_stream"],
	["sse", "/connection/sse"],
	["emulation", "/emulation"],
	["uni_websocket", "/connection/uni_websocket"],
	["uni_http_stream", "/connection/uni_http_stream"],
	["uni_sse", "/connection/uni_sse"],
]);

/** What shardcast has in place of an option that it does not have. */
export const replacements: ReadonlyMap<string, string> = new Map([
	["admin", "/console, `shardcast top` and /metrics"],
	["client.connection_limit", "limits.max_connections"],
	["client.connection_rate_limit", "limits.connection_rate"],
	["client.rate_limit.ip_connect", "limits.max_connections_per_ip and limits.connection_rate_per_ip"],
	["client.rate_limit.redis_user_command", "client.rate_limit.user_command, which counts over all shards"],
	["consumers", "the section kafka, or postgres with its outbox"],
	["health", "/health and /ready"],
	["http_server.address", "balancer.address"],
	["http_server.port", "balancer.address"],
	["node.name", "node.id"],
	["prometheus", "/metrics"],
]);

/** In a namespace, and in `channel.without_namespace`. */
export const centrifugoOnlyInNamespaces: ReadonlySet<string> = new Set(
	`force_recovery_mode map
	map_clients_presence_channel_prefix map_users_presence_channel_prefix shared_poll subscribe_stream_proxy_bidirectional subscribe_stream_proxy_enabled subscribe_stream_proxy_name subscription_type`.split(
		/\s+/,
	),
);

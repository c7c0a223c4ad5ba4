/** Paths of streams that stay open. The balancer counts them like WebSockets, before the shard does. */
export const streamPaths = ["/connection/http_stream", "/connection/sse", "/connection/uni_http_stream", "/connection/uni_sse"] as const;

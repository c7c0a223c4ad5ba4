/** Where a request becomes a connection that stays: the balancer counts it like a WebSocket, before the shard does. */
export const streamPaths = ["/connection/http_stream", "/connection/sse", "/connection/uni_http_stream", "/connection/uni_sse"] as const;

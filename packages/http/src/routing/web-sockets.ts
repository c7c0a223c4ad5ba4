/**
 * Paths of clients' WebSockets. A shard answers a WebSocket handshake there with 101, or refuses it with 400, 401, 403, 408, 429, 431, 500 or 503: so the balancer
 * knows when something else has answered.
 */
export const webSocketPaths = ["/", "/ws", "/connection/websocket", "/connection/uni_websocket"] as const;
export type WebSocketPath = (typeof webSocketPaths)[number];

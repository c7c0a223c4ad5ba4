/** The cluster should grow or shrink. Its nodes announce it once, on the channel of events in Redis. */
export interface ScaleEvent {
	/** scaleUp = a node is missing, scaleDown = one is too many. */
	readonly type: "scaleUp" | "scaleDown";
	/** The node that announces it. */
	readonly node: string;
	/** Nodes that take clients. */
	readonly nodes: number;
	readonly connections: number;
	readonly maxConnections: number;
	/** Connections as part of what these nodes can take, 0 to 1. */
	readonly load: number;
	/** By the clock of Redis, milliseconds since 1970. */
	readonly at: number;
}

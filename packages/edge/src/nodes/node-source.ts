/** What is known of a node before it is asked. */
export interface KnownNode {
	/** Unique. */
	readonly id: string;
	readonly host: string;
	readonly port: number;
	readonly region: string;
	readonly weight: number;
	/** What the node itself tells the others; null = only its /health says how it is. */
	readonly told: null | {
		readonly status: "starting" | "serving" | "draining";
		readonly health: "healthy" | "degraded" | "unhealthy";
		readonly connections: number;
		readonly maxConnections: number;
		readonly cpu: number;
		readonly memory: number;
		readonly loopLagMs: number;
		/** Changes with the figures. */
		readonly heartbeatAt: number;
	};
}

/** Where the edge learns which nodes there are. */
export interface NodeSource {
	/** For people. */
	readonly about: string;
	/** It has not found out yet. */
	readonly isLooking: boolean;
	/** Why it cannot find out now, as a sentence; null = it can. */
	readonly problem: string | null;
	readonly nodes: readonly KnownNode[];
	/** @param onChange called when the nodes may have changed. */
	start(onChange: () => void): void;
	stop(): void;
}

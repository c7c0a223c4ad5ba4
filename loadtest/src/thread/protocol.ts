import type { DeliveryReport } from "@shardcast/testkit";
import type { AudienceOptions } from "../audience.ts";
import type { ProtocolKind } from "../protocols/protocol-kinds.ts";
import type { Target } from "../target.ts";
import type { RampPart } from "./fleet.ts";
import type { KafkaTarget } from "./kafka-source.ts";
import type { Load, PaceReport } from "./pacer.ts";
import type { SourceKind } from "./source-kinds.ts";

/** What a thread is started with. */
export interface ThreadTask {
	readonly thread: number;
	readonly firstClient: number;
	readonly clients: number;
	readonly targets: readonly Target[];
	readonly sourceAddresses: readonly string[];
	readonly audience: AudienceOptions;
	readonly protocol: ProtocolKind;
	readonly progress: SharedArrayBuffer;
	/** The one thread that sends has a source, the others null. */
	readonly source: SourceKind | null;
	/** For the source of that kind. */
	readonly kafka: KafkaTarget | null;
	/** It runs in a process of the generator's that has no other thread. */
	readonly isProcess: boolean;
	/** The thread's end of its message channel. */
	readonly port: import("node:worker_threads").MessagePort;
}

/** How busy a thread was between `begin` and `collect`. */
export interface ThreadLoad {
	/** Share of the time that its event loop was not idle, 0 … 1. */
	readonly utilization: number;
	readonly lagP99Ms: number;
}

interface SourceReport extends PaceReport {
	/** What the server refused after all, by reason, since the source was opened. */
	readonly refusals: Readonly<Record<string, number>>;
}

/** Deliveries of one node's clients since the connections were opened. */
export interface NodeDeliveries {
	readonly expected: number;
	readonly received: number;
}

interface Collected {
	readonly delivery: DeliveryReport;
	/** By node. */
	readonly latency: readonly string[];
	readonly byNode: readonly NodeDeliveries[];
	/** CPU time since `begin` of a thread that is a process; 0 for others, which the main thread counts. */
	readonly cpuMs: number;
	/** Commands of open clients that the server answered with an error, by reason, since the ramp. */
	readonly refusals: Readonly<Record<string, number>>;
	readonly brokenOff: Readonly<Record<string, number>>;
	readonly load: ThreadLoad;
}

/** Ends connections with the closing handshake or with RST, which leaves no port in TIME_WAIT. */
export interface Disconnection {
	readonly how: "handshake" | "reset";
	readonly deadlineMs: number;
}

/** Calls from the main thread, one at a time per thread. */
export interface ThreadCalls {
	ramp(argument: { inFlight: number; deadlineMs: number }): Promise<RampPart>;
	/** Forgets latencies and busyness so far. */
	begin(): void;
	send(load: Load): Promise<SourceReport>;
	collect(argument: { sentBySender: Uint32Array }): Collected;
	/** Closes all connections; `ramp` opens them again. */
	disconnect(argument: Disconnection): Promise<void>;
	/** Closes all connections and ends the thread's task. */
	close(argument: Disconnection): Promise<void>;
}

type ThreadCall = keyof ThreadCalls;
export type CallMessage = { readonly call: ThreadCall; readonly argument: unknown };
export type ReplyMessage = { readonly value: unknown } | { readonly error: string };

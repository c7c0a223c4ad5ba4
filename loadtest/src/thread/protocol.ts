import type { DeliveryReport } from "@shardcast/testkit";
import type { AudienceOptions } from "../audience.ts";
import type { ProtocolKind } from "../protocols/protocol-kinds.ts";
import type { Stage } from "../stages/stages.ts";
import type { Target } from "../target.ts";
import type { ConnectReport, FleetStages, RampPart } from "./fleet.ts";
import type { IntervalPart, SeriesClock } from "./interval-recorder.ts";
import type { KafkaTarget } from "./kafka-source.ts";
import type { Load, PaceReport } from "./pacer.ts";
import type { SentLog } from "./sent-log.ts";
import type { SourceKind } from "./source-kinds.ts";
import type { ThreadUsage } from "./thread-usage.ts";

/** What a thread is started with. */
export interface ThreadTask {
	readonly thread: number;
	readonly firstClient: number;
	readonly clients: number;
	readonly targets: readonly Target[];
	readonly sourceAddresses: readonly string[];
	readonly headers: Readonly<Record<string, string>>;
	readonly audience: AudienceOptions;
	readonly protocol: ProtocolKind;
	readonly progress: SharedArrayBuffer;
	/** Null = all clients are opened before messages are sent. */
	readonly staged: FleetStages | null;
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
export interface ThreadLoad extends ThreadUsage {
	/** "sends", "receives" or both. */
	readonly role: string;
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

/** What each sender has sent, and when. */
export interface Sent {
	readonly sentBySender: Uint32Array;
	readonly log: SentLog;
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

/** Clients that come and go. */
export interface FollowOptions {
	/** Clients of all receivers; this one has its share. */
	readonly stages: readonly Stage[];
	readonly receiver: number;
	readonly receivers: number;
	/** Of all receivers' clients, those that have been there from the start, and are not theirs. */
	readonly others: number;
	readonly inFlight: number;
	/** A connection without an answer is given up after this time. */
	readonly connectMs: number;
}

/** Ends connections with the closing handshake or with RST, which leaves no port in TIME_WAIT. */
export interface Disconnection {
	readonly how: "handshake" | "reset";
	readonly deadlineMs: number;
}

/** Calls from the main thread, one at a time per thread. */
export interface ThreadCalls {
	ramp(argument: { inFlight: number; deadlineMs: number }): Promise<RampPart>;
	/** Forgets latencies and busyness so far. With a clock it tells what it sees in each interval. */
	begin(argument: { clock: SeriesClock | null }): void;
	send(load: Load): Promise<SourceReport>;
	/** Opens and closes clients as the stages say; resolves at their end. */
	follow(argument: FollowOptions): Promise<void>;
	/** Messages that must come and have not, in a test with stages. */
	outstanding(argument: Sent): number;
	/** Tells what the last interval has so far. */
	flush(): void;
	collect(argument: Sent): Collected;
	connects(): ConnectReport;
	/** Closes all connections; `ramp` opens them again. */
	disconnect(argument: Disconnection): Promise<void>;
	/** Closes all connections and ends the thread's task. */
	close(argument: Disconnection): Promise<void>;
}

type ThreadCall = keyof ThreadCalls;
/** `halt` ends a ramp, a load and stages that are under way, and has no answer itself. */
export type CallMessage = { readonly call: ThreadCall; readonly argument: unknown } | { readonly call: "halt" };
export type ReplyMessage = { readonly value: unknown } | { readonly error: string } | { readonly interval: IntervalPart };

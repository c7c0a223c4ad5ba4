import type { LogReader } from "@shardcast/channel-log";
import { slowMessageMetrics } from "@shardcast/control";
import type { ProcessMetrics } from "@shardcast/telemetry";
import { incarnationId } from "@shardcast/wire";
import type { Hub } from "../hub/hub.ts";
import type { Feature } from "../lifecycle/feature.ts";
import type { LiveConfig } from "../lifecycle/live-config.ts";
import type { ShardOptions } from "../lifecycle/shard-options.ts";
import { withinDeadline } from "../lifecycle/within-deadline.ts";
import type { DeliveryWatch } from "./delivery-watch.ts";
import { FanOut, type FanOutParts, type TopicPublisher } from "./fan-out.ts";
import { FlushEngine, type TurnPacing } from "./flush.ts";
import { FlushPolicy } from "./flush-policy.ts";

interface DeliveryParts {
	readonly options: Pick<ShardOptions, "bus" | "row" | "board">;
	readonly live: LiveConfig;
	readonly hub: Hub;
	/** The reader of the logs; null = there are no logs. */
	readonly logged: LogReader | null;
	readonly senders: FanOutParts["senders"];
	readonly topics: TopicPublisher;
	readonly console: FanOutParts["console"];
	readonly onClientFrames: FanOutParts["onClientFrames"];
	readonly direct: FanOutParts["direct"];
	readonly onChannelRecord?: FanOutParts["onChannelRecord"];
	readonly onGaps: FanOutParts["onGaps"];
	readonly watch: DeliveryWatch;
	readonly pacing: TurnPacing;
	/** Number of messages that wait for room in this shard's ring. */
	readonly held: () => number;
	/** Called at the start of each turn, before anything is delivered. */
	readonly beforeTurn: () => void;
}

/**
 * Pause as a multiple of the flush before it: with three, flushing takes at most a quarter of the loop's time. At 500 messages/s to 1,000 clients on
 * two shards, a delivery then takes 0.68 of the CPU time of a bare server, with the same p99; with a factor of one it takes 0.85
 * (`npm run bench:fanout`).
 */
const pauseRatio = 3;
/**
 * Share of `--flush-max` for the pause. The rest is for the flush after it, whose writes a message also waits for. A preempted flush takes long and
 * causes a long pause: with the whole of `--flush-max`, p99 was 1.17 of the bare server's, with half of it 0.97.
 */
const pauseShare = 0.5;

/** Delivers records from the rings to the clients: the flush engine, its policy, and the fan-out. */
export class Delivery implements Feature {
	readonly name = "delivery";
	readonly engine: FlushEngine;
	readonly #parts: DeliveryParts;

	constructor(parts: DeliveryParts) {
		const { options, live, hub, logged, senders, topics, console, onClientFrames, direct, onChannelRecord, onGaps } = parts;
		const { watch, pacing, held, beforeTurn } = parts;
		const { bus, row: counters, board } = options;
		this.#parts = parts;
		const life = incarnationId(bus.member, counters.incarnation);
		const fanOut = new FanOut({
			member: bus.member,
			life,
			hub,
			logged,
			senders,
			topics,
			counters,
			console,
			onClientFrames,
			direct,
			onChannelRecord,
			onGaps,
			watch,
		});
		this.engine = new FlushEngine({
			bus,
			policy: new FlushPolicy({
				pauseRatio,
				get pauseMsMax() {
					return live.config.flushMaxMs * pauseShare;
				},
			}),
			counters,
			deliver: fanOut.deliver,
			deliverAhead: fanOut.deliverAhead,
			urgentRecords: () => board.urgentRecords,
			deliverIngested: fanOut.deliverIngested,
			beforeTurn: () => {
				watch.beforeTurn();
				beforeTurn();
			},
			afterTurn: () => fanOut.endGaps(),
			hasPublished: () => fanOut.hasPublished,
			afterFlush: () => {
				fanOut.count();
				watch.flushed();
			},
			holds: () => held() > 0,
			get batch() {
				return live.config.batch;
			},
			pacing,
		});
		if (logged !== null) this.engine.addSource(logged, fanOut.deliverLogged);
	}

	measures(metrics: Pick<ProcessMetrics, "addReading">): void {
		metrics.addReading(slowMessageMetrics, () => ({ slow: this.#parts.watch.slow.count }));
	}

	start(): void {
		const { bus, row: counters } = this.#parts.options;
		counters.set("ringBytes", bus.capacityBytes);
		bus.onWake(() => {
			counters.add("doorbells", 1);
			this.engine.wake();
		});
		this.engine.start();
	}

	drain(leftMs: number): Promise<void> {
		return withinDeadline(this.engine.whenEmpty(), leftMs);
	}

	/** Messages that have found no room yet. */
	unfinished(): number {
		return this.#parts.held();
	}

	stop(): void {
		this.engine.stop();
	}
}

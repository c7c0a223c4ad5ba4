import type { BusLink } from "@shardcast/bus";
import { HeartbeatTimer, type ProcessSample } from "@shardcast/process";
import type { Counters } from "@shardcast/scoreboard";
import { monotonicMs } from "@shardcast/wire";
import type { Feature } from "./feature.ts";

export interface ShardHeartbeatParts {
	readonly counters: Counters;
	readonly bus: Pick<BusLink, "depthBytes" | "backlogBytes" | "overslept">;
	/** There is something that nobody could ring for. */
	readonly onOverslept: () => void;
	/** CPU, memory and loop of the process that hosts this shard; it is given how late the latest heartbeat was since the last call. */
	readonly sample: (beatLateMs: number) => ProcessSample;
	/** What else is due about once a second. */
	readonly onSecond: () => void;
}

/** The shard's heartbeat, and what it costs: in its row of the scoreboard. */
export class ShardHeartbeat implements Feature {
	readonly name = "heartbeat";
	readonly #counters: Counters;
	readonly #heartbeat: HeartbeatTimer;

	constructor({ counters, bus, onOverslept, sample, onSecond }: ShardHeartbeatParts) {
		this.#counters = counters;
		this.#heartbeat = new HeartbeatTimer({
			counters,
			sample,
			onBeat: () => {
				if (bus.overslept()) onOverslept();
			},
			onSecond: () => {
				counters.set("busDepthBytes", bus.depthBytes());
				counters.set("busBacklogBytes", bus.backlogBytes());
				onSecond();
			},
		});
	}

	start(): void {
		this.#counters.set("startedMs", monotonicMs());
		this.#heartbeat.start();
	}

	stop(): void {
		this.#heartbeat.stop();
	}
}

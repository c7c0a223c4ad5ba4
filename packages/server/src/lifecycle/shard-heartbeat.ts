import type { BusLink } from "@shardcast/bus";
import { descriptorsMax, HeartbeatTimer, OpenFilesMeter, type ProcessSample } from "@shardcast/process";
import type { Counters } from "@shardcast/scoreboard";
import { monotonicMs } from "@shardcast/wire";
import type { Feature } from "./feature.ts";

interface ShardHeartbeatParts {
	readonly counters: Counters;
	readonly bus: Pick<BusLink, "depthBytes" | "backlogBytes" | "overslept">;
	/** Called when there is work for which the doorbell could not be rung. */
	readonly onOverslept: () => void;
	/** Measures CPU, memory and loop of the process. Gets the largest delay of a heartbeat since the last call. */
	readonly sample: (beatLateMs: number) => ProcessSample;
	/** Called at each heartbeat. */
	readonly onBeat?: () => void;
	/** Called about once a second. */
	readonly onSecond: () => void;
}

/** Writes the shard's heartbeat and resource usage to its row of the scoreboard. */
export class ShardHeartbeat implements Feature {
	readonly name = "heartbeat";
	readonly #counters: Counters;
	readonly #heartbeat: HeartbeatTimer;
	readonly #openFiles = new OpenFilesMeter();

	constructor({ counters, bus, onOverslept, sample, onBeat, onSecond }: ShardHeartbeatParts) {
		this.#counters = counters;
		this.#heartbeat = new HeartbeatTimer({
			counters,
			sample,
			onBeat: () => {
				onBeat?.();
				if (bus.overslept()) onOverslept();
			},
			onSecond: () => {
				counters.set("busDepthBytes", bus.depthBytes());
				counters.set("busBacklogBytes", bus.backlogBytes());
				counters.set("openFiles", this.#openFiles.read() ?? 0);
				onSecond();
			},
		});
	}

	start(): void {
		const most = descriptorsMax();
		this.#counters.set("openFilesMax", Number.isFinite(most) ? most : 0);
		this.#counters.set("startedMs", monotonicMs());
		this.#heartbeat.start();
	}

	stop(): void {
		this.#heartbeat.stop();
	}
}

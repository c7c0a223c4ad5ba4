import type { Config } from "@shardcast/config";
import type { BufferPool } from "../buffers/buffer-pool.ts";
import type { Frame } from "../buffers/frame.ts";
import { Bandwidth } from "../flow/bandwidth.ts";
import { type ClientLaneCounters, ClientLanes } from "../lanes/client-lanes.ts";
import { HeldBudget } from "../lanes/held-frames.ts";
import type { GatewayCounts } from "../monitor/gateway-counts.ts";
import { ClientIntake } from "./client-intake.ts";
import { ClientOutput } from "./client-output.ts";
import type { ClientQueues, GatewayClient } from "./gateway-client.ts";
import type { PumpTurns } from "./pump-turns.ts";

interface QueueMakerParts {
	/** Read at each use. */
	readonly config: () => Pick<Config, "clientQueueFrames" | "clientQueueBytes" | "videoWindow" | "ackTimeoutMs" | "clientBandwidth">;
	readonly pool: BufferPool;
	readonly counts: GatewayCounts;
	readonly laneCounters: ClientLaneCounters;
	/** Milliseconds, monotonic. */
	readonly nowMs: () => number;
	/** Say when a client is sent what waits for it. */
	readonly pumps: PumpTurns<GatewayClient>;
	/** Passes on a frame of a client that had to wait. */
	readonly pass: (client: GatewayClient, frame: Frame) => void;
}

/** Makes the queues of clients, and changes those of connected ones when options change. */
export class QueueMaker {
	readonly #parts: QueueMakerParts;
	/** Intakes with frames that wait, also those of clients that have gone. */
	readonly #waiting = new Set<ClientIntake>();

	constructor(parts: QueueMakerParts) {
		this.#parts = parts;
	}

	queuesOf(client: GatewayClient): ClientQueues {
		const { config, pool, counts, laneCounters, nowMs, pumps, pass } = this.#parts;
		const { clientQueueFrames, clientQueueBytes, videoWindow, ackTimeoutMs, clientBandwidth } = config();
		const lanes = new ClientLanes(
			{ framesMax: clientQueueFrames, bytesMax: clientQueueBytes, window: videoWindow, ackTimeoutMs },
			laneCounters,
		);
		const bandwidth = () => new Bandwidth(clientBandwidth, nowMs());
		const budget = new HeldBudget(clientQueueFrames, clientQueueBytes);
		return {
			lanes,
			output: new ClientOutput({ lanes, bandwidth: bandwidth(), counts, nowMs, client, pumps }),
			intake: new ClientIntake({
				bandwidth: bandwidth(),
				budget,
				waiting: this.#waiting,
				nowMs,
				pass: (frame) => pass(client, frame),
				dropped: () => counts.dropped.client_closed++,
			}),
			budget,
			share: pool.clientShare(),
		};
	}

	/** A new `--client-bandwidth` for frames that wait, also those of clients that have gone. */
	limitWaiting(bytesPerSecond: number): void {
		for (const intake of [...this.#waiting]) intake.bytesPerSecond = bytesPerSecond;
	}

	/** Options have changed. */
	update({ output, intake }: ClientQueues): void {
		const { videoWindow, ackTimeoutMs, clientBandwidth } = this.#parts.config();
		output.window = videoWindow;
		output.ackTimeoutMs = ackTimeoutMs;
		output.bytesPerSecond = clientBandwidth;
		intake.bytesPerSecond = clientBandwidth;
	}
}

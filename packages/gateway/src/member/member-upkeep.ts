import type { BusLink } from "@shardcast/bus";
import type { ProcessSample } from "@shardcast/process";
import type { BoardRow, ShardCounter } from "@shardcast/scoreboard";
import { ShardHeartbeat } from "@shardcast/server/listening";
import type { GatewayCounts } from "../monitor/gateway-counts.ts";

interface MemberUpkeepParts {
	readonly row: BoardRow;
	readonly bus: Pick<BusLink, "depthBytes" | "backlogBytes" | "overslept" | "capacityBytes" | "backpressuredCount">;
	readonly counts: Pick<GatewayCounts, "frames">;
	readonly sample: (beatLateMs: number) => ProcessSample;
	/** There is work for which the doorbell could not be rung. */
	readonly onOverslept: () => void;
}

/** Writes the row of a process of several: its heartbeat, and once a second what `shardcast top` shows. */
export class MemberUpkeep {
	readonly #parts: MemberUpkeepParts;
	readonly #heartbeat: ShardHeartbeat;
	/** Frames that the row has. */
	readonly #counted = { from_clients: 0, to_clients: 0 };

	constructor(parts: MemberUpkeepParts) {
		const { row, bus, onOverslept, sample } = parts;
		this.#parts = parts;
		this.#heartbeat = new ShardHeartbeat({ counters: row, bus, onOverslept, sample, onSecond: () => this.#count() });
	}

	start(): void {
		const { row, bus } = this.#parts;
		row.set("ringBytes", bus.capacityBytes);
		this.#heartbeat.start();
	}

	stop(): void {
		this.#count();
		this.#heartbeat.stop();
	}

	#count(): void {
		const { row, bus } = this.#parts;
		row.set("backpressured", bus.backpressuredCount);
		this.#add("messagesIn", "from_clients");
		this.#add("deliveries", "to_clients");
	}

	/** The row goes on where the process before has stopped. */
	#add(counter: ShardCounter, way: "from_clients" | "to_clients"): void {
		const { row, counts } = this.#parts;
		row.add(counter, counts.frames[way] - this.#counted[way]);
		this.#counted[way] = counts.frames[way];
	}
}

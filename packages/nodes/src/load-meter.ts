import type { NodeLoad } from "@shardcast/control";
import type { BoardReading } from "@shardcast/telemetry";
import { memoryInUse } from "./machine-memory.ts";

interface Sums {
	readonly atMs: number;
	readonly messages: number;
	readonly bytes: number;
	readonly deliveries: number;
	readonly cpuMs: number;
}

/** How busy this node is: rates between one reading of the scoreboard and the next. */
export class LoadMeter {
	#before: Sums | null = null;

	read(board: BoardReading): NodeLoad {
		const { shards, balancer } = board;
		const sum = (counter: string) => shards.reduce((total, { counters }) => total + counters[counter], 0);
		const now: Sums = {
			atMs: board.nowMs,
			messages: sum("messagesIn"),
			bytes: sum("bytesIn"),
			deliveries: sum("deliveries"),
			cpuMs: sum("cpuMs"),
		};
		const before = this.#before ?? now;
		this.#before = now;
		const seconds = (now.atMs - before.atMs) / 1000;
		// A restarted shard's counters start at 0, so a decrease is not a rate.
		const rate = (counter: keyof Sums) => (seconds > 0 ? Math.max(0, now[counter] - before[counter]) / seconds : 0);
		const memoryBytes = sum("residentBytes") + (balancer?.counters.residentBytes ?? 0);
		return {
			connections: shards.reduce((total, { connections }) => total + connections, 0),
			messagesPerSecond: rounded(rate("messages")),
			bytesPerSecond: rounded(rate("bytes")),
			deliveriesPerSecond: rounded(rate("deliveries")),
			cpu: shards.length === 0 ? 0 : rounded(rate("cpuMs") / 1000 / shards.length),
			memory: rounded(memoryInUse(memoryBytes)),
			memoryBytes,
			loopLagMs: rounded(Math.max(0, ...shards.map(({ counters }) => counters.loopLagP99Ms))),
		};
	}
}

function rounded(value: number): number {
	return Math.round(value * 1000) / 1000;
}

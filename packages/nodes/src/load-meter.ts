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

interface Rates {
	readonly messagesPerSecond: number;
	readonly bytesPerSecond: number;
	readonly deliveriesPerSecond: number;
	/** Of the cores that the shards have. */
	readonly cpu: number;
}

/**
 * Rates over less than this are not taken. Shards write their counters in steps, and heartbeats follow each other within 20 ms when nodes join
 * or leave: such a rate would be 0 or ten times too high, and `adaptive` would send clients elsewhere.
 */
const intervalMsMin = 1000;

/** How busy this node is: rates between one reading of the scoreboard and another, at least a second before it. */
export class LoadMeter {
	#before: Sums | null = null;
	#rates: Rates = { messagesPerSecond: 0, bytesPerSecond: 0, deliveriesPerSecond: 0, cpu: 0 };

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
		this.#before ??= now;
		if (now.atMs - this.#before.atMs >= intervalMsMin) {
			this.#rates = ratesBetween(this.#before, now, shards.length);
			this.#before = now;
		}
		const memoryBytes = sum("residentBytes") + (balancer?.counters.residentBytes ?? 0);
		return {
			connections: shards.reduce((total, { connections }) => total + connections, 0),
			...this.#rates,
			memory: rounded(memoryInUse(memoryBytes)),
			memoryBytes,
			loopLagMs: rounded(Math.max(0, ...shards.map(({ counters }) => counters.loopLagP99Ms))),
		};
	}
}

function ratesBetween(before: Sums, now: Sums, shards: number): Rates {
	const seconds = (now.atMs - before.atMs) / 1000;
	// A restarted shard's counters start at 0, so a decrease is not a rate.
	const rate = (counter: keyof Sums) => Math.max(0, now[counter] - before[counter]) / seconds;
	return {
		messagesPerSecond: rounded(rate("messages")),
		bytesPerSecond: rounded(rate("bytes")),
		deliveriesPerSecond: rounded(rate("deliveries")),
		cpu: shards === 0 ? 0 : rounded(rate("cpuMs") / 1000 / shards),
	};
}

function rounded(value: number): number {
	return Math.round(value * 1000) / 1000;
}

import type { LogCapacity, PublishResult } from "@shardcast/wire";
import type { HistoryLimits, Publication, PublishOptions } from "../src/broker.ts";
import { ChannelLog, type ChannelLogOptions } from "../src/channel-log.ts";
import { LogLayout, RowWord } from "../src/memory/log-descriptor.ts";
import { createLogBuffers, openLogBuffers } from "../src/memory/log-files.ts";
import { LogKeeper } from "../src/memory/log-keeper.ts";
import { holderOf, tryLock, unlock } from "../src/memory/log-lock.ts";
import type { LogMemory } from "../src/memory/log-memory.ts";

/** The smallest logs that there are: they wrap after a few hundred records. */
export const smallBytes = 8 * 65_536;
export const limits: HistoryLimits = { size: 1000, ttlMs: 60_000, metaTtlMs: 600_000 };
export const kept: PublishOptions = { history: limits };

export function bytes(text: string): Uint8Array {
	return new TextEncoder().encode(text);
}

export function text(data: Uint8Array): string {
	return new TextDecoder().decode(data);
}

export interface Clock {
	nowMs: number;
}

/** Logs within this process, and what uses them. */
export class Rig {
	readonly memories: readonly LogMemory[];
	readonly clock: Clock = { nowMs: 1000 };
	readonly keeper: LogKeeper;

	constructor(memoryBytes = smallBytes, tables: Omit<LogCapacity, "memoryBytes"> = {}) {
		this.memories = openLogBuffers(createLogBuffers({ memoryBytes, ...tables }));
		this.keeper = new LogKeeper(this.memories);
	}

	member(slot = 0, incarnation = 1, memories = this.memories, options: ChannelLogOptions = {}): ChannelLog {
		return new ChannelLog(memories, { slot, incarnation }, { nowMs: () => this.clock.nowMs, ...options });
	}
}

/** A process, of no slot that is used here, holds all logs until the returned function is called. */
export function pausePublishing(memories: readonly LogMemory[]): () => void {
	for (const memory of memories) if (!tryLock(memory, holderOf(60, 1))) throw new Error("a log is locked");
	return () => {
		for (const memory of memories) unlock(memory);
	};
}

/** A process is in the middle of writing all rows of channels until the returned function is called. */
export function pauseChange(memories: readonly LogMemory[]): () => void {
	const change = (by: number) => {
		for (const { words, rows, rowsOffset } of memories)
			for (let row = 0; row < rows; row++) words[((rowsOffset + row * LogLayout.rowBytes) >> 2) + RowWord.sequence]! += by;
	};
	change(1);
	return () => change(-1);
}

/** Publishes, and fails the test unless it was. */
export function put(log: ChannelLog, channel: string, message: string, options: PublishOptions = kept): number {
	const result = log.publish(channel, bytes(message), options);
	if (result.outcome !== "accepted" || result.duplicate) throw new Error(`not published: ${JSON.stringify(result)}`);
	return result.position.offset;
}

export function offsetOfResult(result: PublishResult): number {
	if (result.outcome !== "accepted" || result.position === undefined) throw new Error(`refused: ${JSON.stringify(result)}`);
	return result.position.offset;
}

/** `offset:data` of each. */
export function shown(publications: readonly Publication[]): string[] {
	return publications.map(({ offset, data }) => `${offset}:${text(data)}`);
}

export function historyOf(log: ChannelLog, channel: string): string[] {
	return shown(log.history(channel)!.publications);
}

import { parentPort, workerData } from "node:worker_threads";
import { ChannelLog } from "@shardcast/channel-log";
import { attachRing, RingWriter } from "@shardcast/ring";
import { RecordSource, shortPause } from "../ring/ring-records.ts";

/** How long to write, or how much. */
type Extent = { readonly durationMs: number; readonly count?: undefined } | { readonly count: number; readonly durationMs?: undefined };

export type LogThreadTask = Extent &
	(
		| { readonly kind: "ring"; readonly buffer: SharedArrayBuffer }
		| { readonly kind: "log"; readonly directory: string; readonly slot: number; readonly channels: number }
	);

export interface LogThreadResult {
	readonly appended: number;
	/** Attempts that found the lock taken. */
	readonly locked: number;
	readonly tookMs: number;
	/** Longest time that one record took. */
	readonly longestMs: number;
}

/** Attempts in a row before it rests, as a shard would that tries again in a later turn. */
const attemptsMax = 50;
const recordsPerLook = 256;

/** A writing thread of the log bench: reports that it is ready, waits for the start signal, and writes as fast as it can. */
const task = workerData as LogThreadTask;
const source = new RecordSource();
const port = parentPort!;

port.once("message", () => port.postMessage(write(task)));
port.postMessage("up");

function write({ durationMs = Number.POSITIVE_INFINITY, count = Number.POSITIVE_INFINITY, ...target }: LogThreadTask): LogThreadResult {
	const append = target.kind === "ring" ? ringAppender(target.buffer) : logAppender(target.directory, target.slot, target.channels);
	const startMs = performance.now();
	let appended = 0;
	let locked = 0;
	let longestMs = 0;
	while (appended < count) {
		if (appended % recordsPerLook === 0 && performance.now() - startMs >= durationMs) break;
		const record = source.next();
		if (!append(record)) {
			const beganMs = performance.now();
			for (let attempts = 1; ; attempts++) {
				locked++;
				if (append(record)) break;
				if (attempts % attemptsMax === 0) shortPause();
			}
			longestMs = Math.max(longestMs, performance.now() - beganMs);
		}
		appended++;
	}
	return { appended, locked, tookMs: performance.now() - startMs, longestMs };
}

function ringAppender(buffer: SharedArrayBuffer): (record: Uint8Array) => boolean {
	const writer = new RingWriter(attachRing(buffer));
	return (record) => writer.write(record);
}

function logAppender(directory: string, slot: number, channels: number): (record: Uint8Array) => boolean {
	const log = ChannelLog.open(directory, { slot, incarnation: 1 });
	const kept = { history: { size: 100, ttlMs: 60_000, metaTtlMs: 600_000 } };
	const names = Array.from({ length: channels }, (_, channel) => `channel-${channel}`);
	let next = slot;
	return (record) => {
		if (log.publish(names[next % channels]!, record, kept).outcome !== "accepted") return false;
		next++;
		return true;
	};
}

import { setFlagsFromString } from "node:v8";
import { availableCpus } from "./cpus/available-cpus.ts";

/**
 * From now on V8 frees dead ArrayBuffers on the thread that has made them, as a part of each collection, and not on its helper threads.
 *
 * uWebSockets.js makes an ArrayBuffer for each message that comes in. Helper threads that free them cost half as much CPU again, and save the thread that
 * made them next to nothing. Where they have no other CPU they stop it for up to 4 ms at a time; where they have, they contend with it for the allocator.
 *
 * For a process whose loop must not wait, and that gets tens of thousands of messages per second. Call it once, at its start: most flags have no effect
 * any more when a process runs, but V8 reads this one at each collection.
 */
export function freeArrayBuffersOnOwnThread(): void {
	setFlagsFromString("--no-concurrent-array-buffer-sweeping");
}

/**
 * If this process has one CPU only, by affinity or by the quota of its container, V8 collects young garbage on the thread that has made it: helper
 * threads cannot make that shorter there, and each collection waits for them. In a program that keeps little of what it makes, pauses were 15 to
 * 20 % shorter; where much survives they were the same. A shard's CPU per published message did not change.
 *
 * Call it once, at the start of a process whose loop must not wait.
 */
export function scavengeAloneOnOneCpu(): void {
	if (availableCpus().count === 1) setFlagsFromString("--no-parallel-scavenge");
}

import { setFlagsFromString } from "node:v8";
import { availableCpus } from "./cpus/available-cpus.ts";

/**
 * From now on V8 frees dead ArrayBuffers on the thread that has made them, as a part of each collection, and not on its helper threads. If this process
 * may use only one CPU, it also collects young garbage without them.
 *
 * uWebSockets.js makes an ArrayBuffer for each message that comes in. Helper threads that free them cost half as much CPU again, and save the thread that
 * made them next to nothing. Where they have no other CPU they stop it for up to 4 ms at a time; where they have, they contend with it for the allocator.
 * On one CPU they also make a collection longer: each waits until they have had their turn.
 *
 * For a process whose loop must not wait, and that gets tens of thousands of messages per second. Call it once, at its start: most flags have no effect
 * any more when a process runs, but V8 reads these at each collection. Shards do not call it: their CPU per message was the same with it.
 */
export function keepCollectionsOnOwnThread(): void {
	setFlagsFromString("--no-concurrent-array-buffer-sweeping");
	if (availableCpus().cpus.length === 1) setFlagsFromString("--no-parallel-scavenge");
}

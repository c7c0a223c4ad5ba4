import { setFlagsFromString } from "node:v8";

/**
 * From now on V8 collects young garbage on the thread that makes it, without its helper threads. Major collections, which are rare, keep their helpers.
 *
 * uWebSockets.js makes an ArrayBuffer for each message that comes in. Helper threads that free them save the thread that made them next to nothing, and
 * take half as much CPU time as that again. Where they have no other CPU they stop it for up to 4 ms at a time; where they have, they still keep the
 * allocator's locks. For a process whose loop must not wait, and that gets tens of thousands of messages per second. Call it once, at its start.
 */
export function collectOnOwnThread(): void {
	// V8 reads both at each collection. Most flags have no effect any more when a process runs.
	setFlagsFromString("--no-parallel-scavenge");
	setFlagsFromString("--no-concurrent-array-buffer-sweeping");
}

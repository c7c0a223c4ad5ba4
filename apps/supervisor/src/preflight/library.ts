import { StartupError } from "@shardcast/process";

/** Why the WebSocket library does not load, in one line; null if it does. Takes about 100 ms, and the library stays in memory, so call it only in a process that will exit. */
export async function loadLibraryProblem(): Promise<string | null> {
	try {
		await import("@shardcast/server");
		return null;
	} catch (error) {
		if (!(error instanceof StartupError)) throw error;
		return error.message;
	}
}

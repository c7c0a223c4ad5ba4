import { StartupError } from "@shardcast/process";

/** Why the library for WebSockets does not load, in one line; null = it does. It takes about 100 ms and stays in memory, so this is for a process that ends. */
export async function libraryProblemHere(): Promise<string | null> {
	try {
		await import("@shardcast/server");
		return null;
	} catch (error) {
		if (!(error instanceof StartupError)) throw error;
		return error.message;
	}
}

import { reportError } from "@shardcast/config";
import { surviveClosedOutput } from "@shardcast/process";
import { connectToParent } from "./child-end.ts";

/** Runs a process of a cluster that serves clients. @param load imports its program: only now, since the WebSocket library may fail to load. */
export async function runWorker(load: () => Promise<{ runForked(): void }>): Promise<void> {
	surviveClosedOutput();
	try {
		(await load()).runForked();
	} catch (error) {
		if (process.send === undefined) process.exit(reportError("shardcast", error));
		// The supervisor reports it, once for all its processes.
		connectToParent({
			problem: error,
			start: () => Promise.reject(error),
			drain: async () => ({ cutOff: 0 }),
		});
	}
}

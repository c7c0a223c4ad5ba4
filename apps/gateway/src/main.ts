import { reportError } from "@shardcast/config";
import { connectToParent } from "@shardcast/control";
import { surviveClosedOutput } from "@shardcast/process";

surviveClosedOutput();
try {
	// Imported only now, since the WebSocket library may fail to load.
	(await import("./forked.ts")).runForked();
} catch (error) {
	if (process.send === undefined) process.exit(reportError("shardcast", error));
	// The supervisor reports it, once for all its processes.
	connectToParent({
		start: () => Promise.reject(error),
		drain: async () => ({ cutOff: 0 }),
	});
}

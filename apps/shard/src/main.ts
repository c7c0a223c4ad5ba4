import { complain } from "@shardcast/config";
import { connectToParent } from "@shardcast/control";
import { surviveClosedOutput } from "@shardcast/process";

surviveClosedOutput();
try {
	// Only now, since the library for WebSockets may not load.
	(await import("./forked.ts")).runForked();
} catch (error) {
	if (process.send === undefined) process.exit(complain("shardcast", error));
	// The supervisor says it: for all its shards, once.
	connectToParent({
		start: () => Promise.reject(error),
		drain: async () => ({ cutOff: 0 }),
	});
}

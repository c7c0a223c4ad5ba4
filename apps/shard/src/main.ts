import { complain, connectToParent, decodeSingle, singleVariable, surviveClosedOutput } from "@shardcast/service";

surviveClosedOutput();
// `shardcast single` runs this program in its own process and leaves the checked settings here.
const single = process.env[singleVariable];
try {
	// Only now, since the library for WebSockets may not load.
	if (single === undefined) (await import("./forked.ts")).runForked();
	else await (await import("./single.ts")).runSingle(decodeSingle(single, process.env));
} catch (error) {
	if (single !== undefined || process.send === undefined) process.exit(complain("shardcast", error));
	// The supervisor says it: for all its shards, once.
	connectToParent({
		start: () => Promise.reject(error),
		drain: async () => ({ cutOff: 0 }),
	});
}

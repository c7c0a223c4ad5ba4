import { complain, decodeSingle, singleVariable, surviveClosedOutput } from "@shardcast/service";
import { runForked } from "./forked.ts";
import { runSingle } from "./single.ts";

// `shardcast single` runs this program in its own process and leaves the checked settings here.
surviveClosedOutput();
const single = process.env[singleVariable];
try {
	if (single === undefined) runForked();
	else await runSingle(decodeSingle(single, process.env));
} catch (error) {
	process.exit(complain("shardcast", error));
}

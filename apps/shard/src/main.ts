import { type Config, complain } from "@shardcast/service";
import { runForked } from "./forked.ts";
import { runSingle } from "./single.ts";

// `shardcast single` runs this program in its own process and leaves the checked settings here.
const single = process.env.SHARDCAST_SINGLE;
try {
	if (single === undefined) runForked();
	else await runSingle(JSON.parse(single) as Config);
} catch (error) {
	process.exit(complain("shardcast", error));
}

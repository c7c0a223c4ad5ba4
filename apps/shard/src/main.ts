import { ignoreSignals } from "@shardcast/process/early-signals";

ignoreSignals();
const { runWorker } = await import("@shardcast/control");
await runWorker(() => import("./forked.ts"));

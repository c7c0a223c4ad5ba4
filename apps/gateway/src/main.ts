import { runWorker } from "@shardcast/control";

await runWorker(() => import("./forked.ts"));

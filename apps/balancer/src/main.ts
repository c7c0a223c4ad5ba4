import { ignoreSignals } from "@shardcast/process/early-signals";

ignoreSignals();
await import("./forked.ts");

// Starts a program as a test does and waits to be killed.
import { join } from "node:path";
import { ManagedProcess } from "@shardcast/testkit";

const child = await ManagedProcess.start(join(import.meta.dirname, "child.mjs"), ["deaf"]);
await child.waitForOutput(/deaf/, 5_000);
console.log(`started ${child.pid}`);

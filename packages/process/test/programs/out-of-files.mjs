// A process that may open no more files: measures itself, is asked for its metrics, gets some files back and is asked again.
// Started under `ulimit -n`; prints what came of it as JSON.
import { closeSync, openSync } from "node:fs";
import { openFilesLimit, ProcessMonitor } from "@shardcast/process";
import { ProcessMetrics } from "@shardcast/telemetry";

const outcome = async (ask) => {
	try {
		return await ask();
	} catch (error) {
		return error.code ?? error.message;
	}
};

const monitor = new ProcessMonitor();
const metrics = new ProcessMetrics("test");
monitor.start();
const open = [];
let refusal;
while (refusal === undefined) {
	try {
		open.push(openSync("/dev/null", "r"));
	} catch (error) {
		refusal = error.code;
	}
}
const sampled = await outcome(() => monitor.sample(0).residentBytes);
const without = await outcome(async () => (await metrics.values()).length);
for (const fd of open.splice(0)) closeSync(fd);
const afterwards = await outcome(async () => (await metrics.values()).length);
console.log(JSON.stringify({ limit: openFilesLimit()?.soft, refusal, sampled, actual: process.memoryUsage.rss(), without, afterwards }));
monitor.stop();

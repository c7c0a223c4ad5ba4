// An idle process with a monitor: says how often it woke in each second, until it has been idle for one, and then what it measured.
import { setTimeout as sleep } from "node:timers/promises";
import { ProcessMonitor } from "@shardcast/process";

const monitor = new ProcessMonitor();
monitor.start();
monitor.sample(0);
const wakeUps = () => process.resourceUsage().voluntaryContextSwitches;
const seconds = [];
// It may take some seconds until a process that has just started is idle.
do {
	const before = wakeUps();
	await sleep(1000);
	monitor.sample(0);
	seconds.push(wakeUps() - before);
} while (seconds.at(-1) >= 10 && seconds.length < 20);
console.log(JSON.stringify({ seconds, lagMs: monitor.sample(70).loopLagP99Ms }));
monitor.stop();

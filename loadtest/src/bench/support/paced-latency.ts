import { performance } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { waitFor } from "@shardcast/testkit";
import { watchOtherCpu } from "./other-cpu.ts";

interface PacedLoad {
	readonly perSecond: number;
	/** What it measures, after `warmupMs` that do not count. */
	readonly durationMs: number;
	readonly warmupMs: number;
	readonly send: () => void | Promise<void>;
	/** Where the bench puts how long each message took; empty at the start. */
	readonly tookMs: readonly number[];
	/** Of the programs that are measured. */
	readonly cpuMs: () => number;
}

/**
 * Sends messages at a fixed rate, one at a time, and waits until all have arrived. The first ones do not count: for seconds after the load changes,
 * V8 compiles in every process on the path, and a p99 shows little else.
 */
export async function pacedLatency({
	perSecond,
	durationMs,
	warmupMs,
	send,
	tookMs,
	cpuMs,
}: PacedLoad): Promise<{ readonly p50Ms: number; readonly p99Ms: number; readonly otherCpuPercent: number }> {
	const startedMs = performance.now();
	const warmups = (perSecond * warmupMs) / 1000;
	const total = warmups + (perSecond * durationMs) / 1000;
	let [cpuBeforeMs, otherCpu] = [cpuMs(), watchOtherCpu()];
	for (let index = 0; index < total; index++) {
		await pause(Math.max(0, startedMs + (index * 1000) / perSecond - performance.now()));
		if (index === warmups) [cpuBeforeMs, otherCpu] = [cpuMs(), watchOtherCpu()];
		await send();
	}
	await waitFor(() => tookMs.length >= total, { deadlineMs: 10_000, what: `${total} messages` });
	const otherCpuPercent = otherCpu(cpuMs() - cpuBeforeMs);
	const sorted = tookMs.slice(warmups).sort((one, other) => one - other);
	return { p50Ms: sorted[Math.floor(sorted.length / 2)]!, p99Ms: sorted[Math.floor(sorted.length * 0.99)]!, otherCpuPercent };
}

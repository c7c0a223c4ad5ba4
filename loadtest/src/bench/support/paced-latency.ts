import { performance } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { waitFor } from "@shardcast/testkit";
import { watchOtherCpu } from "./other-cpu.ts";

interface PacedLoad {
	readonly perSecond: number;
	readonly durationMs: number;
	readonly send: () => void | Promise<void>;
	/** Where the bench puts how long each message took; empty at the start. */
	readonly tookMs: readonly number[];
	/** Of the programs that are measured. */
	readonly cpuMs: () => number;
}

/** Sends messages at a fixed rate, one at a time, and waits until all have arrived. */
export async function pacedLatency({
	perSecond,
	durationMs,
	send,
	tookMs,
	cpuMs,
}: PacedLoad): Promise<{ readonly p50Ms: number; readonly p99Ms: number; readonly otherCpuPercent: number }> {
	const [startedMs, cpuBeforeMs, otherCpu] = [performance.now(), cpuMs(), watchOtherCpu()];
	const total = (perSecond * durationMs) / 1000;
	for (let index = 0; index < total; index++) {
		await pause(Math.max(0, startedMs + (index * 1000) / perSecond - performance.now()));
		await send();
	}
	await waitFor(() => tookMs.length >= total, { deadlineMs: 10_000, what: `${total} messages` });
	const otherCpuPercent = otherCpu(cpuMs() - cpuBeforeMs);
	const sorted = tookMs.toSorted((one, other) => one - other);
	return { p50Ms: sorted[Math.floor(sorted.length / 2)]!, p99Ms: sorted[Math.floor(sorted.length * 0.99)]!, otherCpuPercent };
}

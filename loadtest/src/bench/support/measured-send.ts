import { performance } from "node:perf_hooks";
import { machineBusyMs } from "@shardcast/testkit";
import type { LoadGenerator, SendReport } from "../../generator.ts";
import { sendProblems } from "../../report/result.ts";
import type { Subject } from "./subject.ts";

/** Of each message, unless the load says so. */
export const messageBytes = 128;

export interface MeasuredSend {
	readonly send: SendReport;
	/** Of all server processes. */
	readonly cpuMs: number;
	readonly otherCpuPercent: number;
}

/** Sends the load once and measures what it cost. @throws when a message was lost, doubled or out of order. */
export async function measureSend(
	{ servers }: Subject,
	generator: LoadGenerator,
	load: { readonly rate: number; readonly durationMs: number; readonly settleMs: number; readonly bytes?: number },
): Promise<MeasuredSend> {
	const startedMs = performance.now();
	const [machineMs, serversMs] = [machineBusyMs(), servers.cpuMs()];
	let [machineTakenMs, cpuMs, tookMs] = [0, 0, 0];
	const send = await generator.send({
		bytes: messageBytes,
		...load,
		onArrived: () => {
			cpuMs = servers.cpuMs() - serversMs;
			machineTakenMs = machineBusyMs() - machineMs;
			tookMs = performance.now() - startedMs;
		},
	});
	const problems = sendProblems(send);
	if (problems.length > 0) throw new Error(problems.join("; "));
	return { send, cpuMs, otherCpuPercent: (Math.max(0, machineTakenMs - cpuMs - send.cpuMs) / tookMs) * 100 };
}

import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { Audience } from "../audience.ts";
import { protocolKinds } from "../protocols/protocol-kinds.ts";
import { ProgressCounters } from "../report/progress-counters.ts";
import { Fleet } from "./fleet.ts";
import { HttpSource } from "./http-source.ts";
import { KafkaMessageSource } from "./kafka-source.ts";
import type { MessageSource } from "./message-source.ts";
import { Pacer } from "./pacer.ts";
import type { CallMessage, ReplyMessage, ThreadCalls, ThreadTask } from "./protocol.ts";
import type { SourceKind } from "./source-kinds.ts";
import { WebSocketSource } from "./websocket-source.ts";

const flushMs = 5_000;

function createSource(kind: SourceKind, fleet: Fleet, { targets, kafka }: ThreadTask, audience: Audience): MessageSource {
	switch (kind) {
		case "ws":
			return new WebSocketSource(fleet, audience.senders);
		case "http":
			return new HttpSource(targets, audience);
		case "kafka":
			if (kafka === null) throw new Error("the kafka source needs a broker");
			return new KafkaMessageSource(kafka, audience);
		default:
			return kind satisfies never;
	}
}

/** One thread of the load generator, run as a single long task of the pool: serves calls until `close`. */
export default function serve(task: ThreadTask): Promise<void> {
	const audience = new Audience(task.audience);
	const progress = new ProgressCounters(task.progress);
	const protocol = protocolKinds[task.protocol].create();
	const fleet = new Fleet({ ...task, audience, protocol, progress });
	const source = task.source === null ? null : createSource(task.source, fleet, task, audience);
	const pacer = source && new Pacer(source, audience.senders, progress, task.thread, protocol.payload);
	const lag = monitorEventLoopDelay({ resolution: 5 });
	let cpuBase = process.cpuUsage();
	let idleBase = performance.eventLoopUtilization();

	const calls: ThreadCalls = {
		ramp: ({ inFlight, deadlineMs }) => fleet.ramp(inFlight, deadlineMs),
		begin: () => {
			fleet.takeLatency();
			lag.enable();
			lag.reset();
			cpuBase = process.cpuUsage();
			idleBase = performance.eventLoopUtilization();
		},
		send: async (load) => {
			if (source === null || pacer === null) throw new Error("this thread has no source");
			await source.open();
			const report = await pacer.run(load);
			await source.flush(flushMs);
			return { ...report, refusals: source.refusals() };
		},
		collect: ({ sentBySender }) => {
			const { utilization } = performance.eventLoopUtilization(idleBase);
			const lagP99Ms = Math.max(0, lag.percentile(99) / 1e6 - 5);
			lag.disable();
			const { user, system } = process.cpuUsage(cpuBase);
			return {
				delivery: fleet.report(sentBySender),
				latency: fleet.takeLatency(),
				byNode: fleet.byNode(sentBySender),
				cpuMs: task.isProcess ? (user + system) / 1000 : 0,
				refusals: fleet.refusals(),
				brokenOff: fleet.brokenOff(),
				load: { utilization, lagP99Ms },
			};
		},
		disconnect: ({ how, deadlineMs }) => fleet.close(how, deadlineMs),
		close: async ({ how, deadlineMs }) => {
			await source?.close();
			await fleet.close(how, deadlineMs);
		},
	};

	return new Promise((resolve) => {
		task.port.on("message", async ({ call, argument }: CallMessage) => {
			let reply: ReplyMessage;
			try {
				reply = { value: await (calls[call] as (argument: unknown) => unknown)(argument) };
			} catch (error) {
				reply = { error: (error as Error).message };
			}
			if (call === "close") {
				task.port.close();
				resolve();
			} else task.port.postMessage(reply);
		});
	});
}

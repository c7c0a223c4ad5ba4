import { monotonicMs } from "@shardcast/wire";
import { Audience } from "../audience.ts";
import { protocolKinds } from "../protocols/protocol-kinds.ts";
import { ProgressCounters } from "../report/progress-counters.ts";
import { Fleet } from "./fleet.ts";
import { HttpSource } from "./http-source.ts";
import { IntervalRecorder } from "./interval-recorder.ts";
import { KafkaMessageSource } from "./kafka-source.ts";
import type { MessageSource } from "./message-source.ts";
import { Pacer } from "./pacer.ts";
import type { CallMessage, ReplyMessage, ThreadCalls, ThreadTask } from "./protocol.ts";
import type { SourceKind } from "./source-kinds.ts";
import { StageFollower } from "./stage-follower.ts";
import { UsageMeter } from "./thread-usage.ts";
import { WebSocketSource } from "./websocket-source.ts";

const flushMs = 5_000;

function createSource(kind: SourceKind, fleet: Fleet, { targets, headers, kafka }: ThreadTask, audience: Audience): MessageSource {
	switch (kind) {
		case "ws":
			return new WebSocketSource(fleet, audience.senders);
		case "http":
			return new HttpSource(targets, audience, headers);
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
	const numberOf = (sender: number): number => audience.numberOfSender(sender);
	const pacer = source && new Pacer(source, audience.senders, progress, task.thread, protocol.payload, undefined, numberOf);
	const usage = new UsageMeter();
	let follower: StageFollower | null = null;
	let beat: NodeJS.Timeout | undefined;
	let cpuBase = process.cpuUsage();
	let intervalCpuBase = cpuBase;

	const cpuMsSince = (base: NodeJS.CpuUsage): number => {
		const { user, system } = process.cpuUsage(base);
		return task.isProcess ? (user + system) / 1000 : 0;
	};
	const reply = (message: ReplyMessage): void => task.port.postMessage(message);
	const endIntervals = (): void => {
		clearInterval(beat);
		fleet.intervals = null;
	};

	const calls: ThreadCalls = {
		ramp: ({ inFlight, deadlineMs }) => fleet.ramp(inFlight, deadlineMs),
		begin: ({ clock }) => {
			fleet.takeLatency();
			cpuBase = intervalCpuBase = process.cpuUsage();
			usage.begin(clock !== null);
			endIntervals();
			if (clock === null) return;
			const intervals = new IntervalRecorder(
				clock,
				() => {
					const cpuMs = cpuMsSince(intervalCpuBase);
					intervalCpuBase = process.cpuUsage();
					return { ...usage.takeInterval(), cpuMs };
				},
				(interval) => reply({ interval }),
			);
			fleet.intervals = intervals;
			beat = setInterval(() => intervals.advance(monotonicMs()), clock.intervalMs / 4);
		},
		send: async (load) => {
			if (source === null || pacer === null) throw new Error("this thread has no source");
			await source.open();
			const report = await pacer.run(load);
			await source.flush(flushMs);
			return { ...report, refusals: source.refusals() };
		},
		follow: async (options) => {
			follower = new StageFollower(fleet, options);
			await follower.run();
		},
		outstanding: ({ sentBySender, log }) => fleet.outstanding(sentBySender, log),
		flush: () => fleet.intervals?.flush(),
		collect: ({ sentBySender, log }) => {
			endIntervals();
			return {
				delivery: fleet.report(sentBySender, log),
				latency: fleet.takeLatency(),
				byNode: fleet.byNode(sentBySender, log),
				cpuMs: cpuMsSince(cpuBase),
				refusals: fleet.refusals(),
				brokenOff: fleet.brokenOff(),
				load: { ...usage.end(), role: roleOf(task) },
			};
		},
		connects: () => fleet.takeConnects(),
		disconnect: ({ how, deadlineMs }) => fleet.close(how, deadlineMs),
		close: async ({ how, deadlineMs }) => {
			endIntervals();
			await source?.close();
			await fleet.close(how, deadlineMs);
		},
	};

	return new Promise((resolve) => {
		task.port.on("message", async (message: CallMessage) => {
			if (message.call === "halt") {
				fleet.halt();
				pacer?.halt();
				follower?.halt();
				return;
			}
			let answer: ReplyMessage;
			try {
				answer = { value: await (calls[message.call] as (argument: unknown) => unknown)(message.argument) };
			} catch (error) {
				answer = { error: (error as Error).message };
			}
			if (message.call === "close") {
				task.port.close();
				resolve();
			} else reply(answer);
		});
	});
}

function roleOf({ source, clients }: ThreadTask): string {
	if (source === null) return "receives";
	return clients === 0 ? "sends" : "sends, and receives for the senders";
}

import type { ProtocolKind } from "../../protocols/protocol-kinds.ts";
import { otherCpuPercent, runBench } from "../support/report.ts";
import { benchShards, withCleanup } from "../support/subject.ts";
import { startChannelCluster } from "./channel-cluster.ts";
import { sendInTurn } from "./loads-in-turn.ts";
import type { Part } from "./part.ts";

const connections = 4_000;
const load = { rate: 25, durationMs: 4_000 };

/** The same messages to the same number of clients of one channel, by each protocol. In turn: clients of all protocols hear the same channel. */
export const fanOut: Part = {
	help: "CPU per delivery, JSON and Protobuf against raw",
	rounds: 2,
	run: (rounds) =>
		withCleanup(async (ends) => {
			const subject = await startChannelCluster();
			ends.push(subject.stop);
			const variant = (protocol: ProtocolKind) => async () => {
				const { send, cpuMs, otherCpuPercent } = await sendInTurn(subject, protocol, { connections, channels: 1, senders: 1 }, load);
				return { cpuUsPerDelivery: (cpuMs * 1000) / send.deliveries, p99Ms: send.latency.p99Ms, otherCpuPercent };
			};
			await runBench({
				name: "channels-fanout",
				rounds,
				warmups: 1,
				figures: {
					cpuUsPerDelivery: { unit: "µs", better: "lower", help: "CPU of all server processes per message received by a client" },
					p99Ms: { unit: "ms", better: "lower" },
					otherCpuPercent,
				},
				baseline: "raw",
				variants: { raw: variant("raw"), json: variant("centrifuge"), protobuf: variant("centrifuge-protobuf") },
				targets: [
					{ variant: "json", figure: "cpuUsPerDelivery", ratioAtMost: 1.15 },
					{ variant: "protobuf", figure: "cpuUsPerDelivery", ratioAtMost: 1.15 },
				],
				setup: { connections, messagesPerSecond: load.rate, bytes: 128, shards: benchShards },
			});
		}),
};

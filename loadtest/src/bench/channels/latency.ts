import type { ProtocolKind } from "../../protocols/protocol-kinds.ts";
import { otherCpuPercent, runBench } from "../support/report.ts";
import { benchShards, withCleanup } from "../support/subject.ts";
import { startChannelCluster } from "./channel-cluster.ts";
import { sendInTurn } from "./loads-in-turn.ts";
import type { Part } from "./part.ts";

const connections = 12_000;
const load = { rate: 5, durationMs: 4_000 };

export const latency: Part = {
	help: "p99 with 12,000 clients of one channel",
	rounds: 1,
	run: (rounds) =>
		withCleanup(async (ends) => {
			const subject = await startChannelCluster();
			ends.push(subject.stop);
			const variant = (protocol: ProtocolKind) => async () => {
				const clients = { connections, channels: 1, senders: 1 };
				const { send, otherCpuPercent, connectsPerSecond } = await sendInTurn(subject, protocol, clients, load);
				return { p50Ms: send.latency.p50Ms, p99Ms: send.latency.p99Ms, connectsPerSecond, otherCpuPercent };
			};
			await runBench({
				name: "channels-latency",
				rounds,
				figures: {
					p50Ms: { unit: "ms", better: "lower" },
					p99Ms: { unit: "ms", better: "lower", help: "from the sender's write to the receiver's read, on the machine that all share" },
					connectsPerSecond: { unit: "/s", better: "higher", help: "opened, connected and subscribed" },
					otherCpuPercent,
				},
				baseline: "raw",
				variants: { raw: variant("raw"), json: variant("centrifuge") },
				setup: { connections, messagesPerSecond: load.rate, bytes: 128, shards: benchShards },
			});
		}),
};

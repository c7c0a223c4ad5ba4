import type { ProtocolKind } from "../../protocols/protocol-kinds.ts";
import { otherCpuPercent, runBench } from "../support/report.ts";
import { benchShards, withCleanup } from "../support/subject.ts";
import { startChannelCluster } from "./channel-cluster.ts";
import { sendInTurn } from "./loads-in-turn.ts";
import type { Part } from "./part.ts";

const channels = 1_000;
const connections = 10_000;
/** More than the machine takes, so that the rate is the servers'. */
const load = { rate: 10_000, durationMs: 1_000 };

/** One publisher for each channel, as fast as they are taken. */
export const publications: Part = {
	help: "publications/s over 1,000 channels with 10 subscribers each",
	rounds: 2,
	run: (rounds) =>
		withCleanup(async (ends) => {
			const subject = await startChannelCluster();
			ends.push(subject.stop);
			const variant = (protocol: ProtocolKind) => async () => {
				const clients = { connections, channels, senders: channels };
				const { send, cpuMs, otherCpuPercent } = await sendInTurn(subject, protocol, clients, load);
				return {
					publicationsPerSecond: send.sent / send.seconds,
					cpuUsPerPublication: (cpuMs * 1000) / send.sent,
					cpuUsPerDelivery: (cpuMs * 1000) / send.deliveries,
					otherCpuPercent,
				};
			};
			await runBench({
				name: "channels-publications",
				rounds,
				figures: {
					publicationsPerSecond: { unit: "/s", better: "higher", help: "until the last is delivered; the clients share the machine" },
					cpuUsPerPublication: { unit: "µs", better: "lower", help: "CPU of all server processes, with the deliveries" },
					cpuUsPerDelivery: {
						unit: "µs",
						better: "lower",
						help: "raw clients do not get their own messages back: 9 deliveries instead of 10",
					},
					otherCpuPercent,
				},
				baseline: "raw",
				variants: { raw: variant("raw"), json: variant("centrifuge") },
				setup: { connections, channels, messagesPerSecond: load.rate, bytes: 128, shards: benchShards },
			});
		}),
};

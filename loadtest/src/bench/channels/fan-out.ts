import type { ProtocolKind } from "../../protocols/protocol-kinds.ts";
import { othersPercent, runBench } from "../report.ts";
import { benchShards, connectAll, withEnds } from "../subject.ts";
import { startChannelCluster } from "./channel-cluster.ts";
import { channelClients, measureSend } from "./measured-send.ts";
import type { Part } from "./part.ts";

const connections = 4_000;
const rate = 25;

/** The same messages to the same number of clients of one channel, by each protocol. All stay connected; the idle ones cost next to nothing. */
export const fanOut: Part = {
	help: "CPU per delivery, JSON and Protobuf against raw",
	rounds: 3,
	run: (rounds) =>
		withEnds(async (ends) => {
			const subject = await startChannelCluster();
			ends.push(subject.stop);
			const clientsOf = async (protocol: ProtocolKind) => {
				const generator = channelClients(subject, { protocol, connections, channels: 1, senders: 1 });
				ends.push(() => generator.close("reset"));
				await connectAll(generator, connections);
				return async () => {
					const { send, cpuMs, othersPercent } = await measureSend(subject, generator, { rate, durationMs: 4_000 });
					return { cpuUsPerDelivery: (cpuMs * 1000) / send.deliveries, p99Ms: send.latency.p99Ms, othersPercent };
				};
			};
			await runBench({
				name: "channels-fanout",
				rounds,
				warmups: 1,
				figures: {
					cpuUsPerDelivery: { unit: "µs", better: "lower", help: "CPU of all server processes per message received by a client" },
					p99Ms: { unit: "ms", better: "lower" },
					othersPercent,
				},
				baseline: "raw",
				variants: {
					raw: await clientsOf("raw"),
					json: await clientsOf("centrifuge"),
					protobuf: await clientsOf("centrifuge-protobuf"),
				},
				targets: [
					{ variant: "json", figure: "cpuUsPerDelivery", ratioAtMost: 1.15 },
					{ variant: "protobuf", figure: "cpuUsPerDelivery", ratioAtMost: 1.15 },
				],
				setup: { connections, messagesPerSecond: rate, bytes: 128, shards: benchShards },
			});
		}),
};

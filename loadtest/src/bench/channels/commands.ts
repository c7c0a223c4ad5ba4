import { performance } from "node:perf_hooks";
import { postJson } from "@shardcast/testkit";
import { runBench } from "../support/report.ts";
import { benchShards, type Subject, withCleanup } from "../support/subject.ts";
import { keptNamespace, startChannelCluster } from "./channel-cluster.ts";
import type { Part } from "./part.ts";
import { command, ProtocolClients } from "./protocol-clients.ts";

const connections = 400;
/** Of each client; below the limit of 128. */
const channelsEach = 100;
const sharedChannels = 1_000;
const publicationsKept = 20;
const publicationsMissed = 10;

interface Kept {
	readonly channel: string;
	readonly epoch: string;
	readonly offset: number;
}

/** Fills the histories from which clients are recovered; returns where they were before they missed something. */
async function fillHistories({ target }: Subject): Promise<Kept[]> {
	const names = Array.from({ length: channelsEach }, (_, channel) => `${keptNamespace}:${channel}`);
	const data = "x".repeat(126);
	return Promise.all(
		names.map(async (channel) => {
			let position = { offset: 0, epoch: "" };
			for (let number = 0; number < publicationsKept; number++) {
				const { status, body } = await postJson(`${target.httpUrl}/api/publish`, { channel, data: { data } });
				if (status !== 200) throw new Error(`a publication was answered ${status}: ${body}`);
				position = (JSON.parse(body) as { result: typeof position }).result;
			}
			return { channel, epoch: position.epoch, offset: position.offset - publicationsMissed };
		}),
	);
}

/** What commands cost, against one that changes nothing. */
export const commands: Part = {
	help: "subscribes/s and recoveries/s",
	rounds: 3,
	run: (rounds) =>
		withCleanup(async (ends) => {
			const subject = await startChannelCluster();
			ends.push(subject.stop);
			const kept = await fillHistories(subject);
			const clients = new ProtocolClients({
				target: subject.target,
				path: "/connection/websocket",
				connections,
				hello: () => [command("connect", {})],
			});
			ends.push(() => clients.close());
			await clients.open();
			const each = Array.from({ length: channelsEach }, (_, index) => index);

			/** Measures one command for each channel of each client, and takes back what it did. */
			const measure = async (
				channelOf: (client: number, index: number) => string,
				request: (index: number) => object | null,
				expected = "",
			) => {
				const unsubscribes = (client: number) => each.map((index) => command("unsubscribe", { channel: channelOf(client, index) }));
				const commandsOf = (client: number) =>
					each.map((index) => {
						const more = request(index);
						const channel = channelOf(client, index);
						return more === null ? command("unsubscribe", { channel }) : command("subscribe", { channel, ...more });
					});
				const [startedMs, cpuMs] = [performance.now(), subject.servers.cpuMs()];
				await clients.ask(commandsOf, expected);
				const tookMs = performance.now() - startedMs;
				const serversMs = subject.servers.cpuMs() - cpuMs;
				await clients.ask(unsubscribes);
				const count = connections * channelsEach;
				return { perSecond: (count * 1000) / tookMs, cpuUsPerCommand: (serversMs * 1000) / count };
			};
			const shared = (client: number, index: number) => `shared.${(client * channelsEach + index) % sharedChannels}`;
			const own = (client: number, index: number) => `own.${client}.${index}`;
			const recovered = (_client: number, index: number) => kept[index]!.channel;
			await runBench({
				name: "channels-commands",
				rounds,
				warmups: 1,
				figures: {
					perSecond: {
						unit: "/s",
						better: "higher",
						help: `${channelsEach} commands of each client, 20 in one frame; the clients share the machine`,
					},
					cpuUsPerCommand: { unit: "µs", better: "lower", help: "CPU of all server processes" },
				},
				baseline: "nothing",
				variants: {
					nothing: () => measure(shared, () => null),
					subscribe: () => measure(shared, () => ({ flag: 1 }), '"subscribe"'),
					"subscribe-own": () => measure(own, () => ({ flag: 1 }), '"subscribe"'),
					recover: () =>
						measure(
							recovered,
							(index) => ({ recover: true, epoch: kept[index]!.epoch, offset: kept[index]!.offset, flag: 1 }),
							'"recovered":true',
						),
				},
				setup: { connections, channelsEach, sharedChannels, publicationsMissed, bytes: 128, shards: benchShards },
			});
		}),
};

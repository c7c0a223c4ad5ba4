import { performance } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { waitFor } from "@shardcast/testkit";
import { connectClients, disconnectClients } from "./connects.ts";
import type { Backend, ShardSubject } from "./hook-cluster.ts";

/** What webhooks wait for more events at most; the cluster without webhooks is watched for as long. */
const batchDelayMs = 100;

/**
 * What it takes to connect and to disconnect all clients, up to the last event that is told of them. Clients go at once, so that nothing but
 * the server sets the pace.
 * @param receiver gets their events; null = there is no webhook.
 * @throws when an event did not come, or one too many did.
 */
export async function measureConnections(subject: ShardSubject, connections: number, receiver: Backend | null) {
	const before = (await receiver?.events()) ?? 0;
	const [startedMs, cpuMs] = [performance.now(), subject.servers.cpuMs()];
	await disconnectClients(subject, await connectClients(subject, connections));
	const tookMs = performance.now() - startedMs;
	await pause(batchDelayMs);
	if (receiver !== null) {
		const all = async (): Promise<boolean> => (await receiver.events()) - before >= 2 * connections;
		await waitFor(all, { deadlineMs: 20_000, what: `${2 * connections} events`, everyMs: 20 });
	}
	const serversMs = subject.servers.cpuMs() - cpuMs;
	const told = ((await receiver?.events()) ?? 0) - before;
	if (receiver !== null && told !== 2 * connections) throw new Error(`${told} events instead of ${2 * connections}`);
	return { perSecond: (connections * 1000) / tookMs, cpuUsPerConnection: (serversMs * 1000) / connections };
}

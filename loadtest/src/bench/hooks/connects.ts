import { performance } from "node:perf_hooks";
import { waitFor } from "@shardcast/testkit";
import { command, ProtocolClients } from "../channels/protocol-clients.ts";
import type { ShardSubject } from "./hook-cluster.ts";

/** Clients that have connected. @param token none = without one. */
export async function connectClients({ shard }: ShardSubject, connections: number, token?: string): Promise<ProtocolClients> {
	const hello = [command("connect", token === undefined ? {} : { token })];
	const clients = new ProtocolClients({ target: shard, path: "/connection/websocket", connections, hello: () => hello });
	try {
		await clients.open();
		return clients;
	} catch (error) {
		await clients.close();
		throw error;
	}
}

/** Closes them; resolves when the server has forgotten them. */
export async function disconnectClients({ servers }: ShardSubject, clients: ProtocolClients): Promise<void> {
	await clients.close();
	const none = async (): Promise<boolean> => (await servers.shardConnections()).every((shard) => shard.connections === 0);
	await waitFor(none, { deadlineMs: 20_000, what: "the shard to count no connections", everyMs: 20 });
}

/** What it takes to connect all clients: WebSocket, connect command and reply. */
export async function measureConnects(subject: ShardSubject, connections: number, token?: string) {
	const [startedMs, cpuMs] = [performance.now(), subject.servers.cpuMs()];
	const clients = await connectClients(subject, connections, token);
	const [tookMs, serversMs] = [performance.now() - startedMs, subject.servers.cpuMs() - cpuMs];
	await disconnectClients(subject, clients);
	return { perSecond: (connections * 1000) / tookMs, cpuUsPerConnect: (serversMs * 1000) / connections };
}

import { performance } from "node:perf_hooks";
import { command, type ProtocolClients } from "../channels/protocol-clients.ts";
import type { ShardSubject } from "./hook-cluster.ts";

/** Of each client, in one frame. */
export const commandsEach = 20;
export const dataBytes = 128;
const data = { text: "x".repeat(dataBytes - '{"text":""}'.length) };

/** Nobody is subscribed to it. */
export const publish = (channel: string): string => command("publish", { channel, data });
export const rpc = (): string => command("rpc", { method: "echo", data });

/** What it takes to answer the commands of all clients, of which there are many at once, and one at a time for each client. */
export async function measureCommands(
	{ servers }: ShardSubject,
	clients: ProtocolClients,
	connections: number,
	one: () => string,
	reply: "publish" | "rpc",
) {
	const [startedMs, cpuMs] = [performance.now(), servers.cpuMs()];
	await clients.ask(() => Array.from({ length: commandsEach }, one), `"${reply}":{`);
	const [tookMs, serversMs] = [performance.now() - startedMs, servers.cpuMs() - cpuMs];
	const count = connections * commandsEach;
	return { perSecond: (count * 1000) / tookMs, cpuUsPerCommand: (serversMs * 1000) / count };
}

import { waitFor } from "@shardcast/testkit";
import type { LoadGenerator } from "../generator.ts";
import type { Servers } from "../servers.ts";
import { parseTarget } from "../target.ts";
import { roundsFrom, runBench } from "./support/report.ts";
import { benchClients, benchProgram, benchShards, connectAll, startBenchCluster } from "./support/subject.ts";

/**
 * How fast WebSockets open (TCP, upgrade, answer) through the balancer, against connecting to one shard's own port. Clients
 * and servers share the machine, so the CPU per connection is measured as well: it does not depend on the clients' speed.
 */
const connections = 5_000;

const rounds = roundsFrom(process.argv.slice(2), 7);

await benchProgram(async (ends) => {
	const { cluster, target, servers, stop } = await startBenchCluster("handoff");
	ends.push(stop);
	const through = benchClients(target, connections);
	ends.push(() => through.close("reset"));
	const direct = benchClients(parseTarget(cluster.shardUrl(0)), connections);
	ends.push(() => direct.close("reset"));

	await runBench({
		name: "connect",
		rounds,
		warmups: 2,
		figures: {
			connectsPerSecond: { unit: "connections/s", better: "higher" },
			cpuUsPerConnect: { unit: "µs", better: "lower", help: "CPU of all server processes per connection opened" },
		},
		baseline: "direct",
		variants: { direct: () => open(direct, servers), balancer: () => open(through, servers) },
		targets: [{ variant: "balancer", figure: "connectsPerSecond", ratioAtLeast: 0.6 }],
		setup: { connections, inFlight: 256, shards: benchShards },
	});
});

/** Opens and closes all connections; the next round begins when the cluster has forgotten them. */
async function open(generator: LoadGenerator, servers: Servers): Promise<{ connectsPerSecond: number; cpuUsPerConnect: number }> {
	const cpuMsBefore = servers.cpuMs();
	const connectsPerSecond = await connectAll(generator, connections);
	const cpuUsPerConnect = ((servers.cpuMs() - cpuMsBefore) * 1000) / connections;
	await generator.disconnect("reset");
	const none = async (): Promise<boolean> => (await servers.shardConnections()).every((shard) => shard.connections === 0);
	await waitFor(none, { deadlineMs: 10_000, what: "the cluster to count no connections", everyMs: 50 });
	return { connectsPerSecond, cpuUsPerConnect };
}

import { type Cluster, RawClient, waitFor } from "@shardcast/testkit";

/** Waits until the cluster is healthy and each shard was restarted so many times; then a message must get from one new client to another. */
export async function servedAgain(cluster: Cluster, restarts: number[]): Promise<void> {
	await waitFor(
		async () => {
			const health = await cluster.health();
			return health.status === "healthy" && health.shards.every((shard, index) => shard.restarts === restarts[index]);
		},
		{ deadlineMs: 10_000, what: `a healthy cluster with restarts ${restarts}` },
	);
	const [one, other] = [await RawClient.open(cluster.url), await RawClient.open(cluster.shardUrl(0))];
	one.send("after the fault");
	await waitFor(() => other.texts().includes("after the fault"), { deadlineMs: 5_000, what: "a message between new clients" });
	await Promise.all([one.close(), other.close()]);
}

import { type Cluster, describeExit, RedisServer, startCluster } from "@shardcast/testkit";
import { parseTarget, type Target } from "./target.ts";

/** A cluster that the load test starts for itself: one node, or several with one Redis. */
export class OwnCluster {
	readonly #nodes: Cluster[] = [];
	#redis: RedisServer | null = null;

	private constructor() {}

	/** @throws when a node does not start; what has started by then is stopped. */
	static async start(flags: readonly string[], nodes: number): Promise<OwnCluster> {
		const cluster = new OwnCluster();
		try {
			if (nodes > 1) cluster.#redis = await RedisServer.start();
			const redis = cluster.#redis === null ? [] : ["--redis-url", cluster.#redis.url];
			// One after the other: they choose free ports, and each start takes all cores.
			for (let node = 1; node <= nodes; node++)
				cluster.#nodes.push(await startNode([...flags, ...redis, ...(nodes > 1 ? ["--node-id", `load-${node}`] : [])]));
			return cluster;
		} catch (error) {
			await cluster.stop();
			throw error;
		}
	}

	/** The certificates that it was started with are not checked. */
	get targets(): Target[] {
		return this.#nodes.map(({ url }) => {
			const target = parseTarget(url);
			return target.tls === null ? target : { ...target, tls: { ...target.tls, verify: false } };
		});
	}

	/** Stops everything. @returns one problem for each node that ended otherwise than in order. */
	async stop(): Promise<string[]> {
		const problems: string[] = [];
		for (const node of this.#nodes) {
			try {
				const status = await node.stop();
				if (status.code !== 0) problems.push(`the cluster ended with ${describeExit(status)}\n${node.log()}`);
			} catch (error) {
				problems.push((error as Error).message);
			}
		}
		await this.#redis?.stop();
		return problems;
	}
}

async function startNode(flags: readonly string[]): Promise<Cluster> {
	const at = flags.indexOf("--shards");
	const tls = flags.includes("--tls-cert");
	if (at < 0) return startCluster({ flags, tls });
	return startCluster({ shards: Number(flags[at + 1]), flags: flags.toSpliced(at, 2), tls });
}

import { spawnSync } from "node:child_process";
import { freePorts } from "../network/ports.ts";
import { waitFor } from "../wait.ts";
import { RedisServer } from "./redis-server.ts";

const slots = 16_384;

/** A Redis Cluster of a test: some masters, each with part of the slots, and no replicas. `stop` must be called. */
export class RedisCluster {
	readonly servers: readonly RedisServer[];

	private constructor(servers: readonly RedisServer[]) {
		this.servers = servers;
	}

	static async start(masters: number): Promise<RedisCluster> {
		const servers = await Promise.all(
			Array.from({ length: masters }, async () => {
				const busPort = String(await freePorts());
				return RedisServer.start({ args: ["--cluster-enabled", "yes", "--cluster-port", busPort, "--cluster-node-timeout", "2000"] });
			}),
		);
		const cluster = new RedisCluster(servers);
		try {
			await cluster.#join();
		} catch (error) {
			await cluster.stop();
			throw error;
		}
		return cluster;
	}

	/** Names two of its servers. */
	get url(): string {
		const [first, second] = this.servers;
		return `redis+cluster://127.0.0.1:${first.port}${second === undefined ? "" : `?addr=127.0.0.1:${second.port}`}`;
	}

	async stop(): Promise<void> {
		await Promise.all(this.servers.map((server) => server.stop()));
	}

	async #join(): Promise<void> {
		const [first, ...others] = this.servers;
		this.servers.forEach((server, index) => {
			const at = (part: number) => Math.floor((slots * part) / this.servers.length);
			order(server, "CLUSTER", "SET-CONFIG-EPOCH", String(index + 1));
			order(server, "CLUSTER", "ADDSLOTSRANGE", String(at(index)), String(at(index + 1) - 1));
		});
		for (const { port } of others) order(first, "CLUSTER", "MEET", "127.0.0.1", String(port), busPortOf(this.servers, port));
		const formed = () =>
			this.servers.every((server) => {
				const info = order(server, "CLUSTER", "INFO");
				return info.includes("cluster_state:ok") && info.includes(`cluster_known_nodes:${this.servers.length}`);
			});
		await waitFor(formed, { deadlineMs: 20_000, what: "a Redis Cluster that works", everyMs: 50 });
	}
}

function busPortOf(servers: readonly RedisServer[], port: number): string {
	const server = servers.find((each) => each.port === port)!;
	return order(server, "CONFIG", "GET", "cluster-port").trim().split("\n").at(-1)!;
}

function order({ port }: RedisServer, ...args: readonly string[]): string {
	const { stdout, stderr, status } = spawnSync("redis-cli", ["-p", String(port), ...args], { encoding: "utf8" });
	if (status !== 0 || stdout.startsWith("ERR")) throw new Error(`redis-cli ${args.join(" ")}: ${stdout}${stderr}`);
	return stdout;
}

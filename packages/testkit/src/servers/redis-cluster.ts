import { freePorts } from "../network/ports.ts";
import { waitFor } from "../wait.ts";
import { RedisServer } from "./redis-server.ts";

const slots = 16_384;

/** A Redis Cluster of a test: some masters, each with part of the slots, and for each of them a replica if wanted. `stop` must be called. */
export class RedisCluster {
	/** The masters first, then their replicas in the same order. */
	readonly servers: readonly RedisServer[];
	readonly #masters: number;

	private constructor(servers: readonly RedisServer[], masters: number) {
		this.servers = servers;
		this.#masters = masters;
	}

	static async start(masters: number, { replicas = false } = {}): Promise<RedisCluster> {
		// After this time the others agree that a server is gone, and its replica is elected. Without replicas, none is to be taken for gone while the
		// machine stands still.
		const nodeTimeoutMs = replicas ? 2000 : 15_000;
		const servers = await Promise.all(
			Array.from({ length: replicas ? 2 * masters : masters }, async () => {
				const busPort = String(await freePorts());
				const timeout = ["--cluster-node-timeout", String(nodeTimeoutMs), "--repl-diskless-sync-delay", "0"];
				return RedisServer.start({ args: ["--cluster-enabled", "yes", "--cluster-port", busPort, ...timeout] });
			}),
		);
		const cluster = new RedisCluster(servers, masters);
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

	/** The master that has a key's slot now. */
	masterOf(key: string): RedisServer {
		const running = this.servers.filter((server) => server.isRunning);
		const slot = Number(running[0]!.order("CLUSTER", "KEYSLOT", key));
		for (const line of running[0]!.order("CLUSTER", "NODES").split("\n")) {
			const [, address, flags, , , , , , ...ranges] = line.split(" ");
			if (!flags!.includes("master") || flags!.includes("fail")) continue;
			const has = ranges.some((range) => {
				const [from, to = from] = range.split("-").map(Number);
				return slot >= from! && slot <= to!;
			});
			if (has) return this.servers.find(({ port }) => address!.split("@")[0]!.endsWith(`:${port}`))!;
		}
		throw new Error(`no master has ${key}`);
	}

	/** Waits until all slots are served and `servers` of its servers are reached. */
	async works(servers = this.servers.length): Promise<void> {
		const isFormed = async (server: RedisServer): Promise<boolean> => {
			const nodes = (await server.ask("CLUSTER", "NODES")).split("\n");
			const reached = nodes.filter((line) => !/fail|handshake|noaddr/.test(line.split(" ")[2]!)).length;
			return reached === servers && (await server.ask("CLUSTER", "INFO")).includes("cluster_state:ok");
		};
		const formed = async () => (await Promise.all(this.servers.filter((server) => server.isRunning).map(isFormed))).every(Boolean);
		await waitFor(formed, { deadlineMs: 20_000, what: "a Redis Cluster that works", everyMs: 50 });
	}

	async stop(): Promise<void> {
		await Promise.all(this.servers.map((server) => server.stop()));
	}

	async #join(): Promise<void> {
		const masters = this.servers.slice(0, this.#masters);
		const replicas = this.servers.slice(this.#masters);
		const [first, ...others] = this.servers;
		masters.forEach((server, index) => {
			const at = (part: number) => Math.floor((slots * part) / masters.length);
			server.order("CLUSTER", "SET-CONFIG-EPOCH", String(index + 1));
			server.order("CLUSTER", "ADDSLOTSRANGE", String(at(index)), String(at(index + 1) - 1));
		});
		for (const server of others) first.order("CLUSTER", "MEET", "127.0.0.1", String(server.port), busPortOf(server));
		await this.works();
		for (const [index, replica] of replicas.entries()) replica.order("CLUSTER", "REPLICATE", masters[index]!.order("CLUSTER", "MYID"));
		const hasCaughtUp = async (replica: RedisServer) => (await replica.ask("INFO", "replication")).includes("master_link_status:up");
		await waitFor(async () => (await Promise.all(replicas.map(hasCaughtUp))).every(Boolean), {
			deadlineMs: 20_000,
			what: "replicas that have caught up",
			everyMs: 50,
		});
	}
}

function busPortOf(server: RedisServer): string {
	return server.order("CONFIG", "GET", "cluster-port").split("\n").at(-1)!;
}

import type { Broker, HistoryLimits, PublishOptions } from "@shardcast/channel-log";
import type { Redis } from "@shardcast/redis";
import { RedisCluster, RedisServer } from "@shardcast/testkit";
import { openRedis } from "../../redis/test/support/client.ts";
import { Compressor } from "../src/compression.ts";
import { Keys } from "../src/keys.ts";
import type { NodeId } from "../src/node-id.ts";
import { RedisBroker } from "../src/redis-broker.ts";

/** Times to live are so many times longer than the test says: none ends while a busy machine pauses, and `pass` shortens them all. */
const slower = 100;
const slow = ({ size, ttlMs, metaTtlMs }: HistoryLimits): HistoryLimits => ({ size, ttlMs: ttlMs * slower, metaTtlMs: metaTtlMs * slower });

export function newNodeId(): NodeId {
	return { id0: Math.floor(Math.random() * 2 ** 31), id1: 1 };
}

/** A redis-server, or a Redis Cluster. */
type Servers = Pick<RedisServer, "url" | "stop"> & { readonly servers: readonly RedisServer[] };

/** Brokers on one redis-server, or a Redis Cluster. */
export class RedisRig {
	readonly #servers: Servers;
	readonly #clients: Redis[] = [];
	#channels = 0;

	private constructor(servers: Servers) {
		this.#servers = servers;
	}

	/** @param masters of a Redis Cluster; 0 = a server alone. */
	static async start(masters = 0): Promise<RedisRig> {
		if (masters > 0) {
			const cluster = await RedisCluster.start(masters);
			return new RedisRig({ url: cluster.url, stop: () => cluster.stop(), servers: cluster.servers });
		}
		return RedisRig.on(await RedisServer.start());
	}

	static on(server: RedisServer): RedisRig {
		return new RedisRig({ url: server.url, stop: () => server.stop(), servers: [server] });
	}

	async stop(): Promise<void> {
		for (const client of this.#clients) client.close();
		await this.#servers.stop();
	}

	channel(): string {
		return `channel-${this.#channels++}`;
	}

	async client(answerTimeoutMs = 2000): Promise<Redis> {
		const redis = openRedis(this.#servers.url, { connectTimeoutMs: 2000, answerTimeoutMs, waitingMax: 1000 });
		this.#clients.push(redis);
		await redis.ready(8000);
		return redis;
	}

	async broker(options: Partial<ConstructorParameters<typeof RedisBroker>[0]> = {}): Promise<RedisBroker> {
		const redis = options.redis ?? (await this.client());
		return new RedisBroker({
			...{ prefix: "test", node: newNodeId(), trustsReplicas: false, waitMs: 0, publicationBytesMax: 1_000_000 },
			compressor: new Compressor({ method: "none", bytesMin: 0 }),
			...options,
			redis,
		});
	}

	/** Gives an order to each server. */
	order(...args: readonly string[]): void {
		for (const server of this.#servers.servers) server.order(...args);
	}

	/** Brings the keys of all channels nearer to their ends. */
	async pass(redis: Redis, ms: number): Promise<void> {
		const keys = new Keys("test");
		const shorten = async (key: string) => {
			const left = Number(await redis.send(key, ["PTTL", key]));
			if (left >= 0) await redis.send(key, left <= ms * slower ? ["DEL", key] : ["PEXPIRE", key, String(left - ms * slower)]);
		};
		const channels = Array.from({ length: this.#channels }, (_, index) => `channel-${index}`);
		await Promise.all(channels.flatMap((channel) => [keys.meta(channel), keys.stream(channel), keys.once(channel, "k")]).map(shorten));
	}
}

/** With longer times to live. */
export function slowed(broker: RedisBroker): Broker {
	return {
		publish: (channel, data, { history, idempotency, ...rest }: PublishOptions) =>
			broker.publish(channel, data, {
				...rest,
				history: slow(history),
				...(idempotency && { idempotency: { ...idempotency, ttlMs: idempotency.ttlMs * slower } }),
			}),
		history: (channel, options) => broker.history(channel, options),
		position: (channel) => broker.position(channel),
		removeHistory: (channel) => broker.removeHistory(channel),
	};
}

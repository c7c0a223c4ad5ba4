import type { Broker, HistoryLimits, PublishOptions } from "@shardcast/channel-log";
import { parseRedisAddress } from "@shardcast/config";
import { Redis } from "@shardcast/redis";
import { silentLog } from "@shardcast/telemetry";
import { RedisServer } from "@shardcast/testkit";
import type { NodeId } from "../src/node-id.ts";
import { RedisBroker } from "../src/redis-broker.ts";

/** Times to live are so many times longer than the test says: none ends while a busy machine pauses, and `pass` shortens them all. */
const slower = 100;
const slow = ({ size, ttlMs, metaTtlMs }: HistoryLimits): HistoryLimits => ({ size, ttlMs: ttlMs * slower, metaTtlMs: metaTtlMs * slower });

export function newNodeId(): NodeId {
	return { id0: Math.floor(Math.random() * 2 ** 31), id1: 1 };
}

/** Brokers on one redis-server. */
export class RedisRig {
	readonly server: RedisServer;
	readonly #clients: Redis[] = [];
	#channels = 0;

	private constructor(server: RedisServer) {
		this.server = server;
	}

	static async start(): Promise<RedisRig> {
		return new RedisRig(await RedisServer.start());
	}

	async stop(): Promise<void> {
		for (const client of this.#clients) client.close();
		await this.server.stop();
	}

	channel(): string {
		return `channel-${this.#channels++}`;
	}

	async client(answerTimeoutMs = 2000): Promise<Redis> {
		const redis = new Redis(
			{
				address: parseRedisAddress(this.server.url),
				tls: null,
				connectTimeoutMs: 2000,
				answerTimeoutMs,
				clientName: "test",
				waitingMax: 1000,
			},
			silentLog(),
		).open();
		this.#clients.push(redis);
		await redis.ready(8000);
		return redis;
	}

	async broker(options: Partial<ConstructorParameters<typeof RedisBroker>[0]> = {}): Promise<RedisBroker> {
		const redis = options.redis ?? (await this.client());
		return new RedisBroker({
			...{ prefix: "test", node: newNodeId(), trustsReplicas: false, waitMs: 0, publicationBytesMax: 1_000_000 },
			...options,
			redis,
		});
	}

	/** Brings all that has a time to live nearer to its end. */
	async pass(redis: Redis, ms: number): Promise<void> {
		const keys = (await redis.send(null, ["KEYS", "test:*"])) as string[];
		for (const key of keys) {
			const left = Number(await redis.send(key, ["PTTL", key]));
			if (left >= 0) await redis.send(key, left <= ms * slower ? ["DEL", key] : ["PEXPIRE", key, String(left - ms * slower)]);
		}
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

import { type Redis, RedisError } from "@shardcast/redis";
import { redisForTests } from "@shardcast/testkit";
import { afterAll, beforeAll, describe } from "vitest";
import { brokerContract } from "../../channel-log/test/broker-contract.ts";
import type { RedisBroker } from "../src/redis-broker.ts";
import { RedisRig, slowed } from "./redis-rig.ts";

describe.skipIf(!redisForTests()).each([
	["a redis-server", 0],
	["a Redis Cluster", 3],
] as const)("with %s", (_name, masters) => {
	let rig: RedisRig;
	let admin: Redis;
	let brokers: readonly RedisBroker[];
	/** Commands of the brokers fail. */
	let isCutOff = false;
	beforeAll(async () => {
		rig = await RedisRig.start(masters);
		admin = await rig.client();
		brokers = await Promise.all([0, 1].map(async () => rig.broker({ redis: cuttable(await rig.client()) })));
	});
	afterAll(() => rig?.stop());

	const cuttable = (redis: Redis): Pick<Redis, "run"> => ({
		run: (...args) => (isCutOff ? Promise.reject(new RedisError("unavailable", "cut off")) : redis.run(...args)),
	});
	const needReplicas = (count: number) => rig.order("CONFIG", "SET", "min-replicas-to-write", String(count));

	brokerContract("RedisBroker", () => ({
		broker: (member) => slowed(brokers[member]!),
		pass: (ms) => rig.pass(admin, ms),
		channel: () => rig.channel(),
		// The servers take no writes.
		pausePublishing: () => {
			needReplicas(1);
			return () => needReplicas(0);
		},
		pauseChange: () => {
			isCutOff = true;
			return () => {
				isCutOff = false;
			};
		},
	}));
});

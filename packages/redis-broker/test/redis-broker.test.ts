import { type Redis, RedisError } from "@shardcast/redis";
import { redisForTests } from "@shardcast/testkit";
import { afterAll, beforeAll, describe } from "vitest";
import { brokerContract } from "../../channel-log/test/broker-contract.ts";
import type { RedisBroker } from "../src/redis-broker.ts";
import { RedisRig, slowed } from "./redis-rig.ts";

describe.skipIf(!redisForTests())("with a redis-server", () => {
	let rig: RedisRig;
	let admin: Redis;
	let brokers: readonly RedisBroker[];
	/** Commands of the brokers fail. */
	let isCutOff = false;
	beforeAll(async () => {
		rig = await RedisRig.start();
		admin = await rig.client();
		brokers = await Promise.all([0, 1].map(async () => rig.broker({ redis: cuttable(await rig.client()) })));
	});
	afterAll(() => rig?.stop());

	const cuttable = (redis: Redis): Pick<Redis, "run" | "send"> => ({
		run: (...args) => (isCutOff ? Promise.reject(new RedisError("unavailable", "cut off")) : redis.run(...args)),
		send: (...args) => (isCutOff ? Promise.reject(new RedisError("unavailable", "cut off")) : redis.send(...args)),
	});
	const set = (key: string, value: string) => admin.send(null, ["CONFIG", "SET", key, value]);

	brokerContract("RedisBroker", () => ({
		broker: (member) => slowed(brokers[member]!),
		pass: (ms) => rig.pass(admin, ms),
		channel: () => rig.channel(),
		pausePublishing: async () => {
			await set("min-replicas-to-write", "1");
			return async () => void (await set("min-replicas-to-write", "0"));
		},
		pauseChange: () => {
			isCutOff = true;
			return () => {
				isCutOff = false;
			};
		},
	}));
});

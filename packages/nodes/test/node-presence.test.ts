import { RedisError } from "@shardcast/redis";
import { describe, expect, it } from "vitest";
import { NodePresence } from "../src/control/node-presence.ts";
import { nodeKeys } from "../src/node-keys.ts";
import { FakePubSub } from "./support/fake-pub-sub.ts";

const keys = nodeKeys("ws", false);
const others = ["n1", "n2", "n3"].map((id) => ({ id, instance: `${id}-instance` }));

class Counting extends FakePubSub {
	asked = 0;
	override send(...args: Parameters<FakePubSub["send"]>): Promise<unknown> {
		this.asked++;
		return super.send(...args);
	}
}

async function rig(...listening: readonly string[]) {
	const redis = new Counting();
	for (const id of listening) await redis.subscribe(keys.answers(`${id}-instance`), () => {});
	const clock = { ms: 0 };
	return { redis, clock, presence: new NodePresence({ redis, keys, others: () => others, nowMs: () => clock.ms }) };
}

describe("which nodes are connected to Redis", () => {
	it("those whose channel for answers has nobody are away", async () => {
		const { presence } = await rig("n1", "n3");
		expect([...presence.away]).toEqual([]);
		await presence.look();
		expect([...presence.away]).toEqual(["n2-instance"]);
	});

	it("Redis is asked once within half a second, however many want to know", async () => {
		const { presence, redis, clock } = await rig("n1");
		await Promise.all([presence.look(), presence.look()]);
		clock.ms = 499;
		await presence.look();
		expect(redis.asked).toBe(1);
		clock.ms = 500;
		await presence.look();
		expect(redis.asked).toBe(2);
	});

	it("while Redis cannot be reached, nobody is away", async () => {
		const { presence, redis, clock } = await rig();
		await presence.look();
		expect(presence.away.size).toBe(3);
		redis.error = new RedisError("unavailable", "gone");
		clock.ms = 1000;
		await presence.look();
		expect(presence.away.size).toBe(0);
	});

	it("an answer that takes long keeps nobody waiting, and counts later", { tags: ["long"] }, async () => {
		const { presence, redis } = await rig("n1");
		const send = redis.send.bind(redis);
		let release: () => void = () => {};
		const held = new Promise<void>((resolve) => {
			release = resolve;
		});
		redis.send = async (...args) => {
			await held;
			return send(...args);
		};
		await presence.look();
		expect(presence.away.size).toBe(0);
		release();
		await presence.look();
		await expect.poll(() => presence.away.size).toBe(2);
	});
});

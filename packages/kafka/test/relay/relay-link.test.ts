import { describe, expect, it } from "vitest";
import { RedisRelay } from "../../src/relay/relay-link.ts";

const partition = { row: 3, topic: "t", topicId: "some-id", partition: 7 };

class FakeRedis {
	state: "connecting" | "ready" | "closed" = "ready";
	readonly calls: string[] = [];
	readonly waiting: { resolve(): void; reject(error: Error): void }[] = [];

	#later(what: string): Promise<void> {
		this.calls.push(what);
		return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
	}

	send = (key: string | null, args: readonly unknown[]) => this.#later(`${key} ${args[0]} ${args[1]}`);
	subscribe = (channel: string, _listener: unknown, options?: { sharded?: boolean }) => this.#later(`+${channel} ${options?.sharded}`);
	unsubscribe = (channel: string) => this.#later(`-${channel}`);
	close = () => void this.calls.push("closed");
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("the connection of nodes over Redis", () => {
	it("sends on a separate channel for each partition; what does not fit, or cannot be sent, is refused and counted", async () => {
		const redis = new FakeRedis();
		let dropped = 0;
		const link = new RedisRelay(redis, "ws", () => dropped++);
		const third = Buffer.alloc(6 * 1024 * 1024);
		expect([link.send(partition, third), link.send(partition, third), link.send(partition, third)]).toEqual([true, true, false]);
		expect(redis.calls).toEqual(Array(2).fill("ws:kafka:some-id:7 SPUBLISH ws:kafka:some-id:7"));
		redis.waiting[0]!.resolve();
		redis.waiting[1]!.reject(new Error("no answer"));
		await settled();
		expect(dropped).toBe(1);
		expect(link.send(partition, third)).toBe(true);
		redis.state = "connecting";
		expect(link.send(partition, Buffer.alloc(1))).toBe(false);
		link.close();
		expect(redis.calls.at(-1)).toBe("closed");
	});

	it("subscribes again only when the unsubscribe before it is done, also after one that failed", async () => {
		const redis = new FakeRedis();
		const link = new RedisRelay(redis, "ws", () => {});
		link.listen(partition, () => {});
		link.end(partition);
		link.listen(partition, () => {});
		await settled();
		expect(redis.calls).toEqual(["+ws:kafka:some-id:7 true"]);
		redis.waiting[0]!.reject(new Error("not connected"));
		await settled();
		expect(redis.calls.slice(1)).toEqual(["-ws:kafka:some-id:7"]);
		redis.waiting[1]!.resolve();
		await settled();
		expect(redis.calls.slice(2)).toEqual(["+ws:kafka:some-id:7 true"]);
	});
});

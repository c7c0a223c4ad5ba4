import { ChannelLog } from "@shardcast/channel-log";
import type { MessageListener } from "@shardcast/redis";
import { expect, it, vi } from "vitest";
import { FeedCounts, Feeder } from "../src/feed/feeder.ts";
import { Keys } from "../src/keys.ts";

it("a message that it cannot read, as of a node of another version, makes it read the stream at once", { tags: ["long"] }, async () => {
	const listeners = new Map<string, MessageListener>();
	const keys = new Keys("ws");
	const counts = new FeedCounts();
	const feeder = new Feeder({
		redis: {
			state: "ready",
			onRestored: () => () => {},
			subscribe: async (name, listener) => void listeners.set(name, listener),
			unsubscribe: async () => {},
		},
		broker: {
			keys,
			read: async () => ({ position: { offset: 0, epoch: "1-1" }, entries: [], removed: 0 }),
			decode: () => null,
		},
		node: { id0: 1, id1: 1 },
		log: ChannelLog.inMemory({ memoryBytes: 8 * 65_536 }),
		limitsOf: () => ({ size: 10, ttlMs: 60_000, metaTtlMs: 60_000 }),
		reached: () => {},
		restarted: () => {},
		counts,
		nowMs: () => 0,
	});
	feeder.follow("a");
	// The first gives the position, the second finds nothing after it.
	await vi.waitFor(() => expect(counts.reads).toBe(2), { timeout: 8000 });
	listeners.get(keys.topic("a"))!(Buffer.from("1 1-1 of another version"));
	await vi.waitFor(() => expect(counts.reads).toBe(3), { timeout: 8000 });
	feeder.stop();
});

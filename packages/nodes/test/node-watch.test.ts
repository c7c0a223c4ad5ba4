import { defaultConfig } from "@shardcast/config";
import { silentLog } from "@shardcast/telemetry";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { NodeWatch } from "../src/node-watch.ts";

beforeEach(() => {
	vi.useFakeTimers();
});
afterEach(() => {
	vi.useRealTimers();
});

const entry = (id: string) => {
	const numbers = ["shards", "connections", "maxConnections", "messagesPerSecond", "bytesPerSecond", "deliveriesPerSecond"];
	return JSON.stringify({
		...Object.fromEntries([...numbers, "cpu", "memoryBytes", "loopLagMs", "term", "heartbeatAt"].map((name) => [name, 1])),
		...{ id, instance: id, address: "10.0.0.1:1", region: "", version: "1", status: "serving", health: "healthy", process: {} },
	});
};

/** A watch of nodes in a Redis that is only this list of ids. */
async function watching(...ids: string[]) {
	const config = defaultConfig({ redisAddress: "redis://127.0.0.1:1", nodeTimeoutMs: 6000 });
	const watch = new NodeWatch({ config, clientName: "test", log: silentLog(), onLook: () => undefined });
	const { redis } = watch;
	let onEvent: (message: Buffer) => void = () => undefined;
	vi.spyOn(redis, "open").mockReturnValue(redis);
	vi.spyOn(redis, "state", "get").mockReturnValue("ready");
	vi.spyOn(redis, "subscribe").mockImplementation(async (_, listener) => {
		onEvent = listener;
	});
	const rig = {
		ids,
		seen: () => watch.nodes.map(({ id }) => id).join(" "),
		stopped: (id: string) => onEvent(Buffer.from(JSON.stringify({ type: "left", node: id, reason: "stopped" }))),
		/** Called when Redis has answered with the entries, before the answer is there. */
		onRead: () => {},
	};
	vi.spyOn(redis, "send").mockImplementation(async (_, [command]) => {
		if (command === "ZRANGE") return [...rig.ids];
		const answer = rig.ids.map(entry);
		rig.onRead();
		return answer;
	});
	watch.start();
	await vi.advanceTimersByTimeAsync(1000);
	return rig;
}

it("a node that was stopped is gone at once, one that is only missing after the node timeout", async () => {
	const rig = await watching("n1", "n2", "n3");
	expect(rig.seen()).toBe("n1 n2 n3");
	rig.ids = ["n1"];
	rig.stopped("n2");
	await vi.advanceTimersByTimeAsync(20);
	expect(rig.seen()).toBe("n1 n3");
	await vi.advanceTimersByTimeAsync(5000);
	expect(rig.seen()).toBe("n1 n3");
	await vi.advanceTimersByTimeAsync(2000);
	expect(rig.seen()).toBe("n1");
});

it("a node that stops while its entry is being read is gone with the next look", async () => {
	const rig = await watching("n1", "n2");
	rig.onRead = () => {
		rig.onRead = () => {};
		rig.ids = ["n1"];
		rig.stopped("n2");
	};
	await vi.advanceTimersByTimeAsync(1000);
	await vi.advanceTimersByTimeAsync(20);
	expect(rig.seen()).toBe("n1");
});

it("a node that was stopped and has started again may be missing for the node timeout, as before", async () => {
	const rig = await watching("n1", "n2");
	rig.stopped("n2");
	await vi.advanceTimersByTimeAsync(1020);
	rig.ids = ["n1"];
	await vi.advanceTimersByTimeAsync(1000);
	expect(rig.seen()).toBe("n1 n2");
});

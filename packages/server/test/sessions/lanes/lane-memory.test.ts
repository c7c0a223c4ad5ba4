import { defaultConfig } from "@shardcast/config";
import { beforeEach, describe, expect, it } from "vitest";
import type { CentrifugeClient } from "../../support/centrifuge-rig.ts";
import { FakeTransport } from "../../support/fake-transport.ts";
import { ShardRig } from "../../support/shard-rig.ts";

const { channelWithoutNamespace: plain } = defaultConfig();
const history = { historySize: 1000, historyTtlMs: 60_000 };
const bytes = 5000;
const kib = 1024;

describe("the memory of lanes", () => {
	let rig: ShardRig;
	let number: number;
	beforeEach(() => {
		number = 0;
		rig = new ShardRig({ channelWithoutNamespace: { ...plain, ...history, slowClient: "drop-oldest" } });
	});

	function stalled(channel: string, options: object = {}): CentrifugeClient {
		const client = rig.connected();
		client.send({ subscribe: { channel, ...options }, id: 2 });
		client.replies();
		client.session.bufferedBytesMax = FakeTransport.bufferedBytesMax;
		client.transport.peer.pause();
		return client;
	}

	function publish(channel: string, count: number): void {
		for (let index = 0; index < count; index++) {
			const payload = `"${number++}:${"x".repeat(bytes)}"`;
			rig.lanes.beforeTurn();
			rig.send(channel, payload);
			rig.lanes.published(payload.length);
		}
	}

	const received = (client: CentrifugeClient): number[] => {
		client.transport.peer.resume();
		rig.lanes.writable(client.session);
		return client.replies().flatMap((reply) => {
			const data = (reply as { push?: { pub?: { data: string } } }).push?.pub?.data;
			return data === undefined ? [] : [Number(data.split(":")[0])];
		});
	};

	it("counts a publication once, for however many clients it waits, and nothing once they have gone or have read", () => {
		const clients = Array.from({ length: 50 }, () => stalled("a"));
		publish("a", 30);
		expect(rig.lanes.count).toBe(50);
		const { memory } = rig.lanes;
		const each = memory.messages / 50;
		expect(memory.bytes).toBeGreaterThan(each * bytes);
		expect(memory.bytes).toBeLessThan(each * (bytes + 300) + memory.messages * 128);
		for (const client of clients.slice(0, 20)) client.transport.peer.leave(1000);
		expect(memory.messages).toBe(each * 30);
		for (const client of clients.slice(20)) expect(received(client).at(-1)).toBe(29);
		expect(memory).toMatchObject({ bytes: 0, messages: 0 });
	});

	it("is freed by what they may drop, the oldest first; the newest publication is kept", () => {
		const [one, other] = [stalled("a"), stalled("b")];
		publish("a", 30);
		publish("b", 30);
		const before = rig.lanes.memory.bytes;
		expect(before).toBeGreaterThan(64 * kib);
		rig.lanes.shrink(30 * kib);
		expect(rig.lanes.memory.bytes).toBeLessThanOrEqual(30 * kib);
		expect(rig.row.get("laneDropsMemory")).toBeGreaterThan(8);
		rig.lanes.shrink(0);
		expect(rig.lanes.memory.messages).toBe(2);
		expect([received(one).at(-1), received(other).at(-1)]).toEqual([29, 59]);
		expect(rig.row.get("laneGaps")).toBe(0);
	});

	it("is not taken from a subscription with recovery silently: it ends with 2500", () => {
		const client = stalled("a", { recoverable: true });
		publish("a", 12);
		rig.lanes.shrink(0);
		rig.soon();
		expect(rig.row.get("laneGaps")).toBe(1);
		expect(rig.row.get("laneDropsMemory")).toBe(0);
		client.transport.peer.resume();
		rig.lanes.writable(client.session);
		const pushes = client.replies() as { push?: { pub?: { offset: number }; unsubscribe?: { code: number } } }[];
		const offsets = pushes.flatMap(({ push }) => push?.pub?.offset ?? []);
		expect(offsets).toEqual(offsets.map((_, index) => index + 1));
		expect(pushes.at(-1)?.push?.unsubscribe?.code).toBe(2500);
	});

	it("closes a client that has a subscription of which nothing may be dropped", () => {
		rig.reload({
			channelWithoutNamespace: { ...plain, slowClient: "drop-oldest" },
			channelNamespaces: [{ ...plain, name: "all", slowClient: "disconnect" }],
		});
		const client = stalled("a");
		client.send({ subscribe: { channel: "all:b" }, id: 3 });
		publish("a", 6);
		publish("all:b", 3);
		expect(client.session.leaving).toBe(0);
		rig.lanes.shrink(0);
		expect(client.session.leaving).toBe(3008);
	});

	it("counts a long message until its last part has been sent", () => {
		rig.reload({ maxPayloadBytes: 60_000, channelWithoutNamespace: { ...plain, slowClient: "drop-oldest" } });
		const client = stalled("a");
		publish("a", 5);
		rig.send("a", `"${number++}:${"y".repeat(40_000)}"`);
		const { memory } = rig.lanes;
		expect(memory.bytes).toBeGreaterThan(40_000);
		expect(received(client)).toEqual([0, 1, 2, 3, 4, 5]);
		expect(memory).toMatchObject({ bytes: 0, messages: 0 });
	});
});

import { defaultConfig } from "@shardcast/config";
import { describe, expect, it } from "vitest";
import type { CentrifugeClient } from "../../support/centrifuge-rig.ts";
import { FakeTransport } from "../../support/fake-transport.ts";
import { ShardRig } from "../../support/shard-rig.ts";

const { channelWithoutNamespace: plain } = defaultConfig();
const filler = (number: number) => `"${number}:${"x".repeat(5000)}"`;
const history = { historySize: 1000, historyTtlMs: 60_000 };

/** A turn of the shard for one publication. */
function turn(rig: ShardRig, channel: string, payload: string): void {
	rig.lanes.beforeTurn();
	rig.send(channel, payload);
	rig.lanes.published(payload.length);
}

function subscribed(rig: ShardRig, options: object = {}): CentrifugeClient {
	const client = rig.connected();
	client.send({ subscribe: { channel: "a", ...options }, id: 2 });
	client.replies();
	client.session.bufferedBytesMax = FakeTransport.bufferedBytesMax;
	return client;
}

describe("clients in lanes when the options of channels change", () => {
	it("a subscription with recovery still has no silent gap", () => {
		const rig = new ShardRig({ channelWithoutNamespace: { ...plain, ...history, slowClient: "drop-oldest" } });
		const client = subscribed(rig, { recoverable: true });
		client.transport.peer.pause();
		let number = 0;
		while (rig.lanes.count === 0 || number < 8) turn(rig, "a", filler(number++));
		rig.reload({ channelWithoutNamespace: { ...plain, ...history, slowClient: "drop-oldest", presence: true } });
		while (rig.row.get("laneGaps") === 0) {
			rig.send("a", filler(number++));
			expect(number, "publications without a gap").toBeLessThan(100);
		}
		rig.soon();
		client.transport.peer.resume();
		const pushes = client.replies().map((each) => (each as { push: { pub?: { offset: number }; unsubscribe?: object } }).push);
		const offsets = pushes.flatMap(({ pub }) => (pub ? [pub.offset] : []));
		expect(pushes.at(-1)?.unsubscribe, "the end of the subscription").toBeDefined();
		expect(offsets, "offsets without a gap").toEqual(offsets.map((_, index) => index + 1));
	});

	it.each([
		["a namespace that now allows drops", { channelWithoutNamespace: { ...plain, slowClient: "drop-oldest" } }],
		["slow_client of all namespaces", { channelSlowClient: "keep-latest" }],
	] as const)("%s also applies to clients that were connected before", (_, changes) => {
		const rig = new ShardRig();
		const client = subscribed(rig);
		rig.reload(changes);
		client.transport.peer.pause();
		for (let number = 0; number < 40; number++) turn(rig, "a", filler(number));
		rig.soon();
		expect(client.session.leaving, "the code that the client is closed with").toBe(0);
		expect(rig.lanes.count, "clients in a lane").toBe(1);
	});
});

describe("a client in a lane", () => {
	it("that is unidirectional is told why it is closed, also in a message", async () => {
		const rig = new ShardRig({ channelWithoutNamespace: { ...plain, slowClient: "drop-oldest" } });
		const client = rig.listening();
		client.send({ subs: { a: {} } });
		client.session.bufferedBytesMax = FakeTransport.bufferedBytesMax;
		client.transport.peer.pause();
		let number = 0;
		while (rig.lanes.count === 0) {
			turn(rig, "a", filler(number++));
			expect(number, "publications before the client is in a lane").toBeLessThan(10);
		}
		client.session.close(3001);
		client.transport.peer.resume();
		expect((await client.ended).code).toBe(3001);
		expect(JSON.stringify(client.replies().at(-1)), "the last message").toContain('"disconnect"');
	});

	it.each(["drop-oldest", "keep-latest"] as const)(
		"%s: gets the newest publication, even if the transport holds too much for it to fit",
		(slowClient) => {
			const rig = new ShardRig({ channelWithoutNamespace: { ...plain, slowClient } });
			const client = subscribed(rig);
			client.transport.peer.pause();
			const long = (number: number) => `"${number}:${"x".repeat(40_000)}"`;
			for (let number = 0; number < 4; number++) turn(rig, "a", long(number));
			expect(rig.lanes.count, "clients in a lane").toBe(1);
			client.transport.peer.resume();
			expect(JSON.stringify(client.replies().at(-1)).slice(0, 60), "the newest").toContain('"3:x');
		},
	);
});

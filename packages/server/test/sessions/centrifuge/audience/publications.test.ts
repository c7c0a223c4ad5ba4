import { defaultConfig } from "@shardcast/config";
import { describe, expect, it } from "vitest";
import type { CentrifugeClient } from "../../../support/centrifuge-rig.ts";
import { ShardRig } from "../../../support/shard-rig.ts";

const { channelWithoutNamespace: plain } = defaultConfig();
const kept = { ...plain, name: "kept", historySize: 10, historyTtlMs: 60_000 };

describe("tags", () => {
	it.each(["c", "kept:c"])("of a publication in %s reach JSON and Protobuf clients, and history", (channel) => {
		const rig = new ShardRig({ channelNamespaces: [kept] });
		const client = rig.connected();
		client.send({ subscribe: { channel }, id: 2 });
		client.replies();
		rig.send(channel, "1", { tags: { a: "é" } });
		rig.send(channel, "2");
		expect(client.replies()).toMatchObject([{ push: { pub: { data: 1, tags: { a: "é" } } } }, { push: { pub: { data: 2 } } }]);
		client.send({ history: { channel, limit: 1 }, id: 3 });
		if (channel === "kept:c") expect(client.replies()).toMatchObject([{ history: { publications: [{ data: 1, tags: { a: "é" } }] } }]);
	});
});

describe("a publication that its channel does not accept", () => {
	it.each([
		["json:c", '"x"', undefined],
		["object:c", "1", 107],
		["small:c", '"12345"', 106],
	])("in %s: %s → %s", (channel, data, code) => {
		const rig = new ShardRig({
			channelNamespaces: [
				{ ...plain, name: "json", publicationDataFormat: "json" },
				{ ...plain, name: "object", publicationDataFormat: "json_object" },
				{ ...plain, name: "small", publicationBytesMax: 5 },
			],
		});
		const client = rig.connected();
		client.send(`{"id":2,"publish":{"channel":"${channel}","data":${data}}}`);
		expect(client.replies()).toMatchObject([code === undefined ? { publish: {} } : { error: { code } }]);
	});

	it("may be empty where data is binary; elsewhere that breaks the protocol", () => {
		const rig = new ShardRig({ channelNamespaces: [{ ...plain, name: "bytes", publicationDataFormat: "binary" }] });
		const client = rig.open("cf_protocol=protobuf");
		client.session.frame(new Uint8Array([4, 0x08, 1, 0x22, 0]).buffer);
		const publish = (channel: string) => {
			const request = [0x0a, channel.length, ...Buffer.from(channel)];
			const command = [0x08, 2, 0x3a, request.length, ...request];
			client.session.frame(new Uint8Array([command.length, ...command]).buffer);
		};
		publish("bytes:c");
		expect(client.session.leaving).toBe(0);
		publish("c");
		expect(client.session.leaving).toBe(3501);
	});
});

describe("exclude_publisher", () => {
	it.each(["own:c", "kept:c"])("a client of %s does not get its own publications, others do", (channel) => {
		const rig = new ShardRig({
			channelNamespaces: [
				{ ...plain, name: "own", excludePublisher: true },
				{ ...kept, excludePublisher: true },
			],
		});
		const [publisher, other, outsider] = [rig.connected(), rig.connected(), rig.connected()];
		for (const client of [publisher, other]) client.send({ subscribe: { channel }, id: 2 }, { subscribe: { channel: "plain" }, id: 3 });
		for (const client of [publisher, other]) client.replies();
		const publish = (client: CentrifugeClient, into: string, data: number) => {
			client.send({ publish: { channel: into, data }, id: 5 });
			rig.deliver();
		};
		publish(publisher, channel, 1);
		publish(publisher, "plain", 2);
		publish(outsider, channel, 3);
		const data = (client: CentrifugeClient) =>
			client.replies().flatMap((reply) => (reply as { push?: { pub: { data: number } } }).push?.pub.data ?? []);
		expect([data(publisher), data(other)]).toEqual([
			[2, 3],
			[1, 2, 3],
		]);
		for (const client of [publisher, other, outsider]) client.transport.peer.leave(1000);
		expect([rig.kept, rig.senders.count]).toEqual([0, 0]);
	});
});

describe("a reload of namespaces", () => {
	it("ends subscriptions to channels whose namespace has been removed, and no others", () => {
		const rig = new ShardRig({ channelNamespaces: [kept, { ...plain, name: "gone" }] });
		const client = rig.connected();
		const channels = ["c", "kept:c", "gone:c"];
		client.send(...channels.map((channel, index) => ({ subscribe: { channel }, id: 2 + index })));
		client.replies();
		rig.reload({ channelNamespaces: [kept] });
		expect(client.replies()).toEqual([{ push: { channel: "gone:c", unsubscribe: { code: 2000, reason: "server unsubscribe" } } }]);
		expect(client.session.channels).toEqual(["c", "kept:c"]);
		rig.send("gone:c", "1");
		expect(client.replies()).toEqual([]);
		client.send({ subscribe: { channel: "gone:c" }, id: 9 });
		expect(client.replies()).toMatchObject([{ error: { code: 102 } }]);
	});
});

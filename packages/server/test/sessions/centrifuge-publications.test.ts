import { defaultConfig } from "@shardcast/config";
import { describe, expect, it } from "vitest";
import { ShardRig } from "../support/shard-rig.ts";

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

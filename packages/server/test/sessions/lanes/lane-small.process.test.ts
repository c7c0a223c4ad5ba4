import { setTimeout as pause } from "node:timers/promises";
import { defaultConfig } from "@shardcast/config";
import { httpRequest, waitFor } from "@shardcast/testkit";
import { expect, it } from "vitest";
import { startShards } from "../../harness.ts";

const plain = defaultConfig().channelWithoutNamespace;

it("a long reply is sent whole when the buffer limit is smaller than one part", async () => {
	const cluster = await startShards(1, {
		config: {
			clientInsecure: true,
			maxPayloadBytes: 4096,
			maxBufferedBytes: 4096,
			channelWithoutNamespace: { ...plain, historySize: 200, historyTtlMs: 600_000, allowHistoryForClient: true },
		},
		historyBytes: 8 * 1024 * 1024,
	});
	try {
		const { url, row } = cluster.shards[0];
		const body = Buffer.from(JSON.stringify({ channel: "a", data: "x".repeat(3900) }));
		const headers = { "content-type": "application/json" };
		const post = () => httpRequest(`${url.replace("ws:", "http:")}/api/publish`, { method: "POST", headers, body });
		for (let index = 0; index < 200; index++)
			await waitFor(async () => (await post()).status < 300, { deadlineMs: 5000, what: `publication ${index}` });
		const client = await cluster.rawClient(0, "/connection/websocket");
		client.send(`{"id":1,"connect":{}}`);
		await waitFor(() => client.texts().join("\n").includes('"id":1'), { deadlineMs: 5000, what: "the reply to connect" });
		client.socket.tcp.pause();
		// Replies of 0.9 MB, one after the other, until the kernel takes no more.
		let id = 1;
		while (row.get("laneEnteredLong") === 0 && id < 20) {
			client.send(JSON.stringify({ id: ++id, history: { channel: "a", limit: 200 } }));
			for (let tries = 0; tries < 20 && row.get("laneEnteredLong") === 0; tries++) await pause(10);
		}
		client.socket.tcp.resume();
		const got = () => client.texts().some((text) => text.includes(`{"id":${id},`));
		await waitFor(() => got() || client.ending !== "", { deadlineMs: 10_000, what: `reply ${id}` });
		expect({ got: got(), ending: client.ending, inLane: row.get("laneEnteredLong") }).toEqual({ got: true, ending: "", inLane: 1 });
	} finally {
		await cluster.stop();
	}
});

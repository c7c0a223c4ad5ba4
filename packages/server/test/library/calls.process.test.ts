import { silentLog } from "@shardcast/telemetry";
import { waitFor } from "@shardcast/testkit";
import { Centrifuge } from "centrifuge";
import { Centrifuge as CentrifugeProtobuf } from "centrifuge/build/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { createServer, RpcError, type Server } from "../../src/library/index.ts";
import { tokenOf, tokenSecret } from "../support/tokens.ts";

/** Between the library's own clients and the program that runs the server. */
describe("npm centrifuge and the application", () => {
	let server: Server;
	const clients: Centrifuge[] = [];
	const messages: unknown[] = [];
	beforeAll(async () => {
		const config = { addr: "127.0.0.1:0", clientInsecure: true, tokenHmacSecret: tokenSecret };
		server = createServer(config, { log: silentLog(), statusLine: false })
			.onRpc("sum", async ({ json }) => (json() as number[]).reduce((sum, each) => sum + each, 0))
			.onRpc("whoami", ({ from }) => from.user)
			.onRpc("refuse", () => {
				throw new RpcError(404, "no such thing");
			})
			.onMessage(({ json, from }) => messages.push([from.user, json()]));
		await server.run();
	});
	afterAll(async () => {
		for (const client of clients) client.disconnect();
		await server.shutdown(2000);
	});

	async function connect(Kind: typeof Centrifuge, sub: string): Promise<Centrifuge> {
		const client = new Kind(`${server.url}/connection/websocket`, { websocket: WebSocket, token: await tokenOf({ sub }) });
		clients.push(client);
		client.connect();
		await client.ready(10_000);
		return client;
	}

	it("call, send, and are subscribed and disconnected by user", async () => {
		const json = await connect(Centrifuge, "ann");
		const protobuf = await connect(CentrifugeProtobuf as unknown as typeof Centrifuge, "bob");
		expect((await json.rpc("sum", [1, 2, 3])).data).toBe(6);
		expect((await json.rpc("whoami", null)).data).toBe("ann");
		const { data } = await protobuf.rpc("sum", Buffer.from("[4,5]"));
		expect(Buffer.from(data as Uint8Array).toString()).toBe("9");
		await expect(json.rpc("refuse", {})).rejects.toMatchObject({ code: 404, message: "no such thing" });
		await expect(json.rpc("other", {})).rejects.toMatchObject({ code: 104 });
		await json.send({ hello: 1 });
		await waitFor(() => messages.length === 1, { deadlineMs: 5000, what: "the message" });
		expect(messages).toEqual([["ann", { hello: 1 }]]);
		const events: string[] = [];
		json.on("subscribed", ({ channel }) => events.push(`subscribed ${channel}`));
		json.on("publication", ({ channel, data: each }) => events.push(`${channel} ${String(each)}`));
		json.on("unsubscribed", ({ channel }) => events.push(`unsubscribed ${channel}`));
		json.on("disconnected", ({ code, reason }) => events.push(`${code} ${reason}`));
		expect(await server.users.subscribe({ user: "ann" }, "news")).toBe(1);
		await server.publish('"hot"', { channel: "news" });
		await waitFor(() => events.length === 2, { deadlineMs: 5000, what: "the publication" });
		expect(await server.users.unsubscribe({ user: "ann" }, "news")).toBe(1);
		expect(await server.users.disconnect({ user: "ann" }, 4500, "bye")).toBe(1);
		expect(await server.users.disconnect({ user: "nobody" })).toBe(0);
		await waitFor(() => events.length === 4, { deadlineMs: 5000, what: "the end" });
		expect(events).toEqual(["subscribed news", "news hot", "unsubscribed news", "4500 bye"]);
		expect(protobuf.state).toBe("connected");
		await expect(async () => server.users.disconnect({ user: "" })).rejects.toThrow(TypeError);
		await expect(async () => server.users.disconnect({ user: "ann" }, 1000)).rejects.toThrow(RangeError);
		await expect(async () => server.users.subscribe({ user: "ann" }, "news", { info: "x".repeat(16_383) })).rejects.toThrow(RangeError);
	});
});

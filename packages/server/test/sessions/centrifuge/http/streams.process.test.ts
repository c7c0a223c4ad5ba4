import { connect as connectTo } from "node:net";
import { protobufCodec } from "@shardcast/protocol";
import { StreamClient, waitFor } from "@shardcast/testkit";
import { channelList, RecordKind } from "@shardcast/wire";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startShards, type TestShards } from "../../../harness.ts";

const connectLine = '{"connect":{},"id":1}';
const origin = "https://page.example";

/** How a client connects by each kind of stream. */
const kinds = {
	http_stream: { path: "/connection/http_stream", init: { method: "POST", body: connectLine } },
	sse: { path: `/connection/sse?cf_connect=${encodeURIComponent(connectLine)}`, init: {} },
	"sse by POST": { path: "/connection/sse", init: { method: "POST", body: connectLine } },
} as const;
const kindNames = Object.keys(kinds) as (keyof typeof kinds)[];

describe("clients without WebSockets on 2 shards", () => {
	let shards: TestShards;
	beforeAll(async () => {
		shards = await startShards(2, {
			config: { clientInsecure: true, allowedOrigins: [origin], maxBufferedBytes: 400_000 },
			connectionsMax: 20,
		});
	});
	afterAll(() => shards.stop());

	const url = (path: string, shard = 0) => `${shards.shards[shard]!.httpUrl}${path}`;
	const open = (kind: keyof typeof kinds, shard = 0) => StreamClient.open(url(kinds[kind].path, shard), kinds[kind].init);
	const webSockets = () => shards.shards[0]!.row.webSockets;

	interface Connected {
		readonly connect: { readonly session: string; readonly node: string };
	}

	/** A client that has connected, and how it sends. */
	async function connected(kind: keyof typeof kinds, shard = 0) {
		const client = await open(kind, shard);
		const [reply] = (await client.next(1)) as [Connected];
		const { session, node } = reply.connect;
		const send = (commands: readonly object[], at = shard) =>
			fetch(url("/emulation", at), {
				method: "POST",
				headers: { "Content-Type": "application/json" },
				body: JSON.stringify({ session, node, data: commands.map((command) => JSON.stringify(command)).join("\n") }),
			});
		return { client, reply, session, send };
	}

	describe.each(kindNames)("%s", (kind) => {
		it("connects, subscribes and publishes; its commands may arrive at either shard, and keep their order", async () => {
			const { client, reply, send } = await connected(kind);
			expect(client.response.status).toBe(200);
			expect(client.response.headers.get("cache-control")).toBe("no-store");
			expect(reply).toMatchObject({ id: 1, connect: { ping: 25, pong: true, session: expect.stringMatching(/^[-\w]{32}$/) } });
			expect((await send([{ subscribe: { channel: "a" }, id: 2 }])).status).toBe(204);
			await client.next(2);
			const status = await Promise.all(
				Array.from({ length: 20 }, (_, n) => send([{ publish: { channel: "a", data: { n } }, id: 3 + n }], n % 2)).map(
					async (answer) => (await answer).status,
				),
			);
			expect(new Set(status)).toEqual(new Set([204]));
			const messages = (await client.next(2 + 40)) as { id?: number; push?: { channel: string; pub: { data: { n: number } } } }[];
			expect(messages[1]).toEqual({ id: 2, subscribe: {} });
			expect(
				messages
					.filter(({ id }) => id !== undefined)
					.map(({ id }) => id)
					.toSorted((a, b) => a! - b!),
			).toEqual(Array.from({ length: 22 }, (_, index) => index + 1));
			expect(messages.flatMap(({ push }) => (push === undefined ? [] : [push.pub.data.n])).toSorted((a, b) => a - b)).toEqual(
				Array.from({ length: 20 }, (_, n) => n),
			);
			client.leave();
		});

		it("counts as a connection while it is open, and is released when the client disconnects", async () => {
			await waitFor(() => webSockets() === 0, { deadlineMs: 5000, what: "the other clients to be gone" });
			const { client, send } = await connected(kind);
			expect(webSockets()).toBe(1);
			client.leave();
			await waitFor(() => webSockets() === 0, { deadlineMs: 5000, what: "the client to be gone" });
			expect((await send([{ subscribe: { channel: "a" }, id: 2 }])).status, "a session that is gone").toBe(204);
		});

		it("gets the reason for its closing as a push, and the stream ends", async () => {
			const { client, send } = await connected(kind);
			await send([{ connect: {}, id: 2 }], 1);
			await waitFor(() => client.isOver, { deadlineMs: 5000, what: "the end" });
			expect(client.isWhole).toBe(true);
			expect(client.messages.at(-1)).toEqual({ push: { disconnect: { code: 3501, reason: "bad request" } } });
		});

		it("is refused when the shard is full, and to pages of other sites; allowed pages may read the response", async () => {
			const { path, init } = kinds[kind];
			const page = (from: string) => fetch(url(path), { ...init, headers: { Origin: from } });
			const foreign = await page("https://other.example");
			expect([foreign.status, foreign.headers.get("access-control-allow-origin")]).toEqual([403, null]);
			const ours = await StreamClient.open(url(path), { ...init, headers: { Origin: origin } });
			const { headers } = ours.response;
			expect([headers.get("access-control-allow-origin"), headers.get("access-control-allow-credentials")]).toEqual([origin, "true"]);
			ours.leave();
			await waitFor(() => webSockets() === 0, { deadlineMs: 5000, what: "nobody to be there" });
			const all = await Promise.all(Array.from({ length: 20 }, () => open(kind)));
			const refused = await open(kind);
			expect([refused.response.status, refused.response.headers.get("retry-after")]).toEqual([503, "1"]);
			for (const client of all) client.leave();
			await waitFor(() => webSockets() === 0, { deadlineMs: 5000, what: "all to be gone" });
		});
	});

	it("commands of one client at one shard run in the order in which they arrive", async () => {
		const { client, send } = await connected("http_stream");
		await send([{ subscribe: { channel: "order" }, id: 2 }]);
		const pipelined = [];
		for (let n = 0; n < 50; n++) pipelined.push({ publish: { channel: "order", data: n }, id: 3 + n });
		for (let at = 0; at < 50; at += 5) await send(pipelined.slice(at, at + 5), 1);
		const messages = (await client.next(102)) as { push?: { pub: { data: number } } }[];
		expect(messages.flatMap(({ push }) => (push === undefined ? [] : [push.pub.data]))).toEqual(Array.from({ length: 50 }, (_, n) => n));
		client.leave();
	});

	it("Protobuf on a stream: messages have a length prefix, and commands are sent as bytes", async () => {
		const client = await fetch(url("/connection/http_stream"), {
			method: "POST",
			headers: { "Content-Type": "application/octet-stream" },
			// {id: 1, connect: {}} with its length.
			body: Uint8Array.of(4, 8, 1, 34, 0),
		});
		expect(client.headers.get("content-type")).toBe("application/octet-stream");
		const reader = client.body!.getReader();
		const { value } = await reader.read();
		expect(value![0]).toBe(value!.length - 1);
		expect(protobufCodec.ping).toEqual(Uint8Array.of(0));
		await reader.cancel();
	});

	it("POST /emulation: 400 for an invalid request, 404 for an unknown id, 413 above 64 KiB; pages may preflight", async () => {
		const post = async (body: string, headers: Record<string, string> = {}) =>
			(await fetch(url("/emulation"), { method: "POST", body, headers: { "Content-Type": "application/json", ...headers } })).status;
		expect(await post("{")).toBe(400);
		expect(await post('{"session":"x","node":"","data":7}')).toBe(400);
		expect(await post('{"session":"x","node":"","data":""}')).toBe(404);
		const { client, session } = await connected("sse");
		const other = `${session.slice(0, -1)}${session.endsWith("A") ? "B" : "A"}`;
		expect(await post(JSON.stringify({ session: other, node: "", data: connectLine }))).toBe(404);
		expect(await post("x".repeat(65_537))).toBe(413);
		expect(await post("{}", { Origin: "https://other.example" })).toBe(403);
		client.leave();
		const asked = await fetch(url("/emulation"), {
			method: "OPTIONS",
			headers: { Origin: origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-trace, content-type" },
		});
		expect(asked.status).toBe(204);
		expect(asked.headers.get("access-control-allow-headers")).toBe("x-trace, content-type");
		expect(asked.headers.get("access-control-allow-credentials")).toBe("true");
	});

	it("server-sent events need the client's connect request", async () => {
		const missing = await fetch(url("/connection/sse"));
		expect(missing.status).toBe(400);
		expect(await missing.text()).toContain("cf_connect");
	});

	it("one that does not read is closed with 3008 behind what it was sent, and counted; the others get everything", async () => {
		const { row } = shards.shards[0]!;
		const [dropped, closed] = [row.get("droppedMessages"), row.get("closedSlow")];
		const { client, send } = await connected("http_stream");
		await send([{ subscribe: { channel: "flood" }, id: 2 }]);
		await client.next(2);
		const slow = connectTo(Number(new URL(url("/")).port), "127.0.0.1");
		const lines = `${connectLine}\n{"subscribe":{"channel":"flood"},"id":2}`;
		slow.write(`POST /connection/http_stream HTTP/1.1\r\nHost: a\r\nContent-Length: ${lines.length}\r\n\r\n${lines}`);
		slow.on("error", () => {});
		let last = "";
		slow.setEncoding("latin1").on("data", (data: string) => {
			last = `${last}${data}`.slice(-200);
		});
		await waitFor(() => last.includes('"subscribe":{}'), { deadlineMs: 5000, what: "the subscription" });
		slow.pause();
		let sent = 0;
		// More than the kernel holds for a connection; the other client reads meanwhile.
		const payload = Buffer.from(`"${"x".repeat(60_000)}"`);
		while (row.get("droppedMessages") === dropped && sent < 1000) {
			await shards.shards[1]!.shard.publish(RecordKind.text, channelList(["flood"]), payload);
			await client.next(2 + ++sent);
		}
		slow.resume();
		await waitFor(() => last.endsWith("0\r\n\r\n"), { deadlineMs: 5000, what: "the end" });
		const body = last.replace(/\r\n[\da-f]+\r\n/g, "");
		expect(body.slice(body.indexOf("}}}"))).toBe('}}}\n{"push":{"disconnect":{"code":3008,"reason":"slow"}}}\n\r\n');
		slow.destroy();
		expect(row.get("closedSlow")).toBe(closed + 1);
		expect(client.isOver).toBe(false);
		client.leave();
	}, 30_000);
});

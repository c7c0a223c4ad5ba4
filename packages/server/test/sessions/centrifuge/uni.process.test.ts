import { defaultConfig } from "@shardcast/config";
import { protobufCodec } from "@shardcast/protocol";
import { StreamClient, waitFor } from "@shardcast/testkit";
import { channelList, RecordKind } from "@shardcast/wire";
import { SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { startShards, type TestShards } from "../../harness.ts";

const secret = "a secret of the tests";
const request = { subs: { open: {}, "kept:a": {}, "closed:a": {} } };
const asQuery = (value: unknown) => `cf_connect=${encodeURIComponent(JSON.stringify(value))}`;

/** What a client that only listens sees, whatever it listens on. */
interface Listener {
	readonly messages: unknown[];
	next(count: number): Promise<unknown[]>;
	readonly isOver: boolean;
	leave(): void;
}

class SocketListener implements Listener {
	readonly messages: unknown[] = [];
	readonly socket: WebSocket;
	code = 0;

	constructor(url: string, first: unknown, protocols: string[] = []) {
		this.socket = new WebSocket(url, protocols);
		this.socket.on("message", (data) =>
			this.messages.push(
				...String(data)
					.split("\n")
					.map((line) => JSON.parse(line) as unknown),
			),
		);
		this.socket.on("close", (code) => {
			this.code = code;
		});
		this.socket.on("error", () => {});
		if (first !== null) this.socket.on("open", () => this.socket.send(JSON.stringify(first)));
	}

	get isOver(): boolean {
		return this.code !== 0;
	}

	async next(count: number): Promise<unknown[]> {
		await waitFor(() => this.messages.length >= count, { deadlineMs: 5000, everyMs: 2, what: `${count} messages` });
		return this.messages;
	}

	leave(): void {
		this.socket.close();
	}
}

describe("unidirectional clients", () => {
	let shards: TestShards;
	beforeAll(async () => {
		const { channelWithoutNamespace: plain } = defaultConfig();
		const everybody = { allowSubscribeForClient: true, allowSubscribeForAnonymous: true };
		const history = { historySize: 10, historyTtlMs: 60_000, forceRecovery: true };
		shards = await startShards(1, {
			config: {
				tokenHmacSecret: secret,
				allowAnonymousConnect: true,
				channelWithoutNamespace: { ...plain, ...everybody },
				channelNamespaces: [
					{ ...plain, ...everybody, name: "kept", ...history },
					{ ...plain, name: "closed" },
				],
			},
		});
	});
	afterAll(() => shards.stop());

	const url = (path: string) => `${shards.shards[0]!.httpUrl}/connection/${path}`;
	const socketUrl = (path: string) => `${shards.shards[0]!.url}/connection/${path}`;
	const post = (path: string, body: unknown) => StreamClient.open(url(path), { method: "POST", body: JSON.stringify(body) });
	const open: Readonly<Record<string, (first: unknown) => Listener | Promise<Listener>>> = {
		"uni_sse by GET": (first) => StreamClient.open(url(`uni_sse?${asQuery(first)}`)),
		"uni_sse by POST": (first) => post("uni_sse", first),
		"uni_http_stream by POST": (first) => post("uni_http_stream", first),
		"uni_http_stream by GET": (first) => StreamClient.open(url(`uni_http_stream?${asQuery(first)}`)),
		"uni_websocket, asking in its URL": (first) => new SocketListener(socketUrl(`uni_websocket?${asQuery(first)}`), null),
		"uni_websocket, asking in its first frame": (first) => new SocketListener(socketUrl("uni_websocket"), first),
	};
	const kinds = Object.keys(open);
	const publish = (channel: string, value: unknown) =>
		shards.shards[0]!.shard.publish(RecordKind.text, channelList([channel]), Buffer.from(JSON.stringify(value)));

	describe.each(kinds)("%s", (kind) => {
		it("is connected by a push, and gets its permitted channels as bare pushes", async () => {
			const client = await open[kind]!(request);
			const [first] = (await client.next(1)) as [{ readonly connect: { readonly subs: Readonly<Record<string, unknown>> } }];
			expect(first).toEqual({
				connect: {
					client: expect.any(String),
					version: expect.any(String),
					ping: 25,
					session: expect.any(String),
					subs: expect.any(Object),
				},
			});
			expect(Object.keys(first.connect.subs).toSorted()).toEqual(["kept:a", "open"]);
			expect(first.connect.subs["kept:a"]).toMatchObject({ recoverable: true, positioned: true, epoch: expect.any(String) });
			await publish("open", { text: "a\nb" });
			await publish("closed:a", 1);
			await publish("kept:a", 2);
			const messages = await client.next(3);
			expect(messages.slice(1)).toEqual(
				expect.arrayContaining([
					{ channel: "open", pub: { data: { text: "a\nb" } } },
					{ channel: "kept:a", pub: { data: 2, offset: expect.any(Number) } },
				]),
			);
			client.leave();
			await waitFor(() => shards.shards[0]!.row.webSockets === 0, { deadlineMs: 5000, what: "the client to be gone" });
		});

		it("is closed for an invalid token, with a disconnect that it can read", async () => {
			const expired = await new SignJWT({ sub: "u" }).setProtectedHeader({ alg: "HS256" }).setExpirationTime(1).sign(Buffer.from(secret));
			const codes: unknown[] = [];
			for (const token of ["no token", expired]) {
				const client = await open[kind]!({ token });
				await waitFor(() => client.isOver, { deadlineMs: 5000, what: "the end" });
				codes.push(client.messages);
				if (client instanceof SocketListener) expect([3500, 3005]).toContain(client.code);
			}
			expect(codes).toEqual([
				[{ disconnect: { code: 3500, reason: "invalid token" } }],
				[{ disconnect: { code: 3005, reason: "connection expired" } }],
			]);
		});
	});

	it("one that returns gets what it missed, from the position in its request", async () => {
		const before = await post("uni_sse", { subs: { "kept:back": {} } });
		const [{ connect }] = (await before.next(1)) as [{ connect: { subs: Record<string, { epoch: string; offset?: number }> } }];
		const { epoch, offset = 0 } = connect.subs["kept:back"]!;
		before.leave();
		for (const n of [1, 2, 3]) await publish("kept:back", n);
		await waitFor(
			async () => {
				const again = await post("uni_sse", { subs: { "kept:back": { recover: true, epoch, offset } } });
				const [first] = (await again.next(1)) as [{ connect: { subs: Record<string, object> } }];
				again.leave();
				return (first.connect.subs["kept:back"] as { publications?: unknown[] }).publications?.length === 3;
			},
			{ deadlineMs: 5000, what: "three publications" },
		);
	});

	it("an invalid connect request closes with 3501; an empty one is valid; later frames are ignored", async () => {
		const broken = await StreamClient.open(url("uni_http_stream"), { method: "POST", body: "[" });
		await waitFor(() => broken.isOver, { deadlineMs: 5000, what: "the end" });
		expect(broken.messages).toEqual([{ disconnect: { code: 3501, reason: "bad request" } }]);
		expect(broken.isWhole).toBe(true);
		for (const client of [await StreamClient.open(url("uni_sse")), await StreamClient.open(url("uni_http_stream"), { method: "POST" })]) {
			expect(await client.next(1)).toEqual([{ connect: expect.objectContaining({ ping: 25 }) }]);
			client.leave();
		}
		const socket = new SocketListener(socketUrl("uni_websocket"), { subs: { open: {} } });
		await socket.next(1);
		socket.socket.send("anything");
		await publish("open", "still there");
		expect((await socket.next(2))[1]).toEqual({ channel: "open", pub: { data: "still there" } });
		socket.leave();
	});

	it("Protobuf: bare pushes with a length prefix", async () => {
		const response = await fetch(url("uni_http_stream"), {
			method: "POST",
			headers: { "Content-Type": "application/octet-stream" },
			body: "",
		});
		const { value } = await response.body!.getReader().read();
		// Its length, then the field 10: connect.
		expect([value![0], value![1]]).toEqual([value!.length - 1, (10 << 3) | 2]);
		expect(protobufCodec.encodePush({})).toEqual(Uint8Array.of(0));
		await response.body!.cancel().catch(() => {});
	});

	it.each([
		[["x", "centrifuge-protobuf"], "centrifuge-protobuf"],
		[["centrifuge-json", "x"], "centrifuge-json"],
		[["x", "y"], "x"],
		[[], ""],
	])("of the subprotocols %j, %j is selected", async (offered, chosen) => {
		for (const path of ["websocket", "uni_websocket"]) {
			const { socket } = new SocketListener(socketUrl(path), null, offered);
			await waitFor(() => socket.readyState === socket.OPEN, { deadlineMs: 5000, what: "the socket" });
			expect(socket.protocol).toBe(chosen);
			socket.terminate();
		}
	});
});

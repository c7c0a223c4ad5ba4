import { once } from "node:events";
import type { Socket } from "node:net";
import { constants, createDeflateRaw, deflateRawSync } from "node:zlib";
import { defaultConfig } from "@shardcast/config";
import { postJson, waitFor } from "@shardcast/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { startShards, type TestShards } from "../harness.ts";

const minBytes = 512;
const mebibyte = 1024 * 1024;

/** What `ws` keeps of its connection. */
interface Internals {
	readonly _socket: Socket;
}

/** A client on `ws`, which offers permessage-deflate or not. */
class Client {
	readonly messages: { readonly text: string; readonly bytes: Buffer; readonly isBinary: boolean }[] = [];
	readonly socket: WebSocket;
	code = 0;

	constructor(url: string, offers: boolean, protocols: string[] = []) {
		this.socket = new WebSocket(url, protocols, { perMessageDeflate: offers && { threshold: 0 } });
		this.socket.on("message", (bytes: Buffer, isBinary) => this.messages.push({ text: String(bytes), bytes, isBinary }));
		this.socket.on("close", (code) => {
			this.code = code;
		});
	}

	get tcp(): Socket {
		return (this.socket as unknown as Internals)._socket;
	}

	get wireBytes(): number {
		return this.tcp.bytesRead;
	}

	async opened(): Promise<this> {
		await once(this.socket, "open");
		this.socket.on("error", () => {});
		return this;
	}

	/** The messages from now on, and their bytes on the wire. */
	async after(count: number, action: () => unknown): Promise<{ texts: string[]; bytes: Buffer[]; wireBytes: number }> {
		const [messages, wireBytes] = [this.messages.length, this.wireBytes];
		await action();
		await waitFor(() => this.messages.length >= messages + count, { deadlineMs: 5000, everyMs: 2, what: `${count} messages` });
		const added = this.messages.slice(messages);
		return { texts: added.map(({ text }) => text), bytes: added.map(({ bytes }) => bytes), wireBytes: this.wireBytes - wireBytes };
	}
}

/** So many MiB of zeros as a message of permessage-deflate, made without the memory for them. */
async function compressedZeros(mebibytes: number): Promise<Buffer> {
	const deflate = createDeflateRaw();
	const parts: Buffer[] = [];
	deflate.on("data", (part: Buffer) => parts.push(part));
	const zeros = Buffer.alloc(mebibyte);
	for (let count = 0; count < mebibytes; count++) await new Promise((resolve) => deflate.write(zeros, resolve));
	await new Promise<void>((resolve) => deflate.flush(constants.Z_SYNC_FLUSH, resolve));
	deflate.destroy();
	return Buffer.concat(parts).subarray(0, -4);
}

/** A binary frame with the bit that says that it is compressed, masked with zeros. */
function compressedFrame(payload: Buffer): Buffer {
	const head = Buffer.alloc(14);
	head.set([0x80 | 0x40 | 0x02, 0x80 | 127]);
	head.writeBigUInt64BE(BigInt(payload.length), 2);
	return Buffer.concat([head, payload]);
}

const clients: Client[] = [];
let shards: TestShards;

async function start(on: boolean): Promise<void> {
	const plain = defaultConfig().channelWithoutNamespace;
	shards = await startShards(1, {
		config: {
			webSocketCompression: on,
			webSocketCompressionBytesMin: minBytes,
			clientInsecure: true,
			channelNamespaces: [{ ...plain, name: "kept", historySize: 100, historyTtlMs: 60_000 }],
		},
		historyBytes: 8 * mebibyte,
	});
}
async function connect(path: string, offers: boolean, protocols?: string[]): Promise<Client> {
	const client = new Client(shards.shards[0].url + path, offers, protocols);
	clients.push(client);
	return await client.opened();
}
const publish = (data: string, channel?: string) =>
	postJson(`${shards.shards[0].httpUrl}/api/publish`, { data, ...(channel && { channel }) });
const command = (value: unknown) => JSON.stringify(value);

afterEach(() => {
	for (const client of clients.splice(0)) client.socket.terminate();
});

describe("with websocket.compression", () => {
	beforeAll(() => start(true));
	afterAll(() => shards.stop());

	it("is negotiated with raw clients that offer it, which get the same messages in fewer bytes; others get them uncompressed", async () => {
		const [offering, other] = [await connect("/", true), await connect("/", false)];
		expect([offering.socket.extensions, other.socket.extensions]).toEqual(["permessage-deflate", ""]);
		const text = "the same again ".repeat(300);
		const [compressed, plain] = await Promise.all([offering.after(1, () => publish(text)), other.after(1, () => {})]);
		expect([compressed.texts, plain.texts]).toEqual([[text], [text]]);
		expect(compressed.wireBytes, "bytes of 4500 that repeat").toBeLessThan(500);
		expect(plain.wireBytes).toBe(text.length + 4);
	});

	it("declines an unsupported offer, such as a smaller window", async () => {
		const asked = async (extensions: string | string[]) => {
			const headers = { "Sec-WebSocket-Extensions": extensions as string };
			const socket = new WebSocket(`${shards.shards[0].url}/`, { perMessageDeflate: false, headers });
			// This client refuses an extension that it has not offered by itself.
			const outcome = await once(socket, "open").then(() => "declined", String);
			socket.terminate();
			return outcome;
		};
		expect(await asked("permessage-deflate; server_max_window_bits=9")).toBe("declined");
		expect(await asked("permessage-deflate; server_max_window_bits=15")).not.toBe("declined");
		expect(await asked(["foo", "permessage-deflate"]), "an offer in a second header").not.toBe("declined");
	});

	it("sends messages below the minimum size uncompressed, and compresses longer ones", async () => {
		const client = await connect("/", true);
		const short = await client.after(1, () => publish("a".repeat(minBytes - 1)));
		expect(short.wireBytes, "a byte too short").toBe(minBytes - 1 + 4);
		const long = await client.after(1, () => publish("a".repeat(minBytes)));
		expect([long.texts[0], long.wireBytes < 100]).toEqual(["a".repeat(minBytes), true]);
	});

	it("delivers compressed messages to clients with and without compression, also binary and incompressible ones", async () => {
		const [sender, offering, other] = [await connect("/", true), await connect("/", true), await connect("/", false)];
		const random = Buffer.from(Array.from({ length: 40_000 }, (_, index) => (index * 7919 + (index >> 3) ** 2) % 251));
		const [one, two] = await Promise.all([
			offering.after(2, () => {
				sender.socket.send("x".repeat(60_000));
				sender.socket.send(random);
			}),
			other.after(2, () => {}),
		]);
		for (const { bytes } of [one, two]) expect([bytes[0]!.toString(), bytes[1]!.equals(random)]).toEqual(["x".repeat(60_000), true]);
		expect(offering.messages.map(({ isBinary }) => isBinary)).toEqual([false, true]);
	});

	it.each([
		["/connection/websocket", "centrifuge-json"],
		["/connection/uni_websocket", ""],
	])("compresses publications and replies of %s", async (path, subprotocol) => {
		const client = await connect(path, true, subprotocol === "" ? [] : [subprotocol]);
		expect(client.socket.extensions).toBe("permessage-deflate");
		const isUni = subprotocol === "";
		const first = isUni ? { subs: { news: {} } } : { id: 1, connect: {} };
		await client.after(1, () => client.socket.send(command(first)));
		if (!isUni) await client.after(1, () => client.socket.send(command({ id: 2, subscribe: { channel: "news" } })));
		const data = "news ".repeat(1000);
		const publication = await client.after(1, () => publish(data, "news"));
		expect(publication.texts[0]).toContain(data);
		expect(publication.wireBytes, "bytes of 5000 that repeat").toBeLessThan(500);
	});

	it("compresses publications in Protobuf", async () => {
		const client = await connect("/connection/websocket", true, ["centrifuge-protobuf"]);
		// {id: 1, connect: {}}, {id: 2, subscribe: {channel: "news"}}, each with its length.
		await client.after(1, () => client.socket.send(Buffer.from("0408012200", "hex")));
		await client.after(1, () => client.socket.send(Buffer.from("0a08022a060a046e657773", "hex")));
		const data = "news ".repeat(1000);
		const publication = await client.after(1, () => publish(data, "news"));
		expect([client.messages.at(-1)!.isBinary, publication.bytes[0]!.includes(data)]).toEqual([true, true]);
		expect(publication.wireBytes, "bytes of 5000 that repeat").toBeLessThan(500);
	});

	it("compresses replies, except those that are sent in parts", async () => {
		const client = await connect("/connection/websocket", true);
		await client.after(1, () => client.socket.send(command({ id: 1, connect: {} })));
		const data = "kept ".repeat(400);
		const history = async (count: number, limit: number) => {
			for (let sent = 0; sent < count; sent++) await publish(data, "kept:a");
			return await client.after(1, () => client.socket.send(command({ id: 2, history: { channel: "kept:a", limit } })));
		};
		const short = await history(5, 5);
		expect([JSON.parse(short.texts[0]!).history.publications.length, short.wireBytes < 1000]).toEqual([5, true]);
		const long = await history(45, 50);
		expect(JSON.parse(long.texts[0]!).history.publications.map((each: { data: string }) => each.data)).toEqual(Array(50).fill(data));
		expect(long.wireBytes, "a reply in parts").toBeGreaterThan(long.texts[0]!.length);
		// The connection is in order after it.
		const next = await client.after(1, () => client.socket.send(command({ id: 3, history: { channel: "kept:a", limit: 5 } })));
		expect(next.wireBytes).toBeLessThan(1000);
	});

	it("stops decompressing at the maximum frame length, and its memory stays constant", async () => {
		// Over max_payload, but not cut: the close code says why.
		const told = await connect("/", true);
		told.socket.send(Buffer.alloc(mebibyte / 2));
		await waitFor(() => told.code !== 0, { deadlineMs: 5000, what: "the end of a client that sent 512 KiB" });
		expect(told.code, "512 KiB").toBe(1009);

		const bomb = await compressedZeros(256);
		expect(bomb.length, "256 MiB, compressed").toBeLessThan(mebibyte / 2);
		const before = process.memoryUsage().rss;
		const highest = process.resourceUsage().maxRSS * 1024;
		const codes: number[] = [];
		for (const path of ["/", "/connection/websocket", "/connection/uni_websocket"]) {
			const client = await connect(path, true);
			client.tcp.write(compressedFrame(bomb));
			await waitFor(() => client.code !== 0, { deadlineMs: 10_000, what: `the end of a client that sent a bomb to ${path}` });
			codes.push(client.code);
		}
		const grown = process.resourceUsage().maxRSS * 1024 - Math.max(highest, before);
		expect(grown / mebibyte, "growth of the highest memory in MiB").toBeLessThan(64);
		expect(codes).toEqual([1006, 1006, 1006]);
		// Others are still served, by the same decompressor.
		const [sender, listener] = [await connect("/", true), await connect("/", true)];
		expect((await listener.after(1, () => sender.socket.send("after it ".repeat(200)))).texts).toEqual(["after it ".repeat(200)]);
	});

	it("closes a client whose compressed data is damaged, and serves the others", async () => {
		const [broken, listener] = [await connect("/", true), await connect("/", true)];
		broken.tcp.write(compressedFrame(Buffer.from("ffffffffffff", "hex")));
		// The library takes the end of the stream, which RFC 7692 allows, for damage, and cannot tell that data was cut off.
		const [ended, cut] = [await connect("/", true), await connect("/", true)];
		ended.tcp.write(compressedFrame(deflateRawSync("the end")));
		await waitFor(() => ended.code !== 0, { deadlineMs: 5000, what: "the end of a client that ended its stream" });
		expect(ended.code, "BFINAL").toBe(1006);
		const whole = deflateRawSync("cut off ".repeat(100), { finishFlush: constants.Z_SYNC_FLUSH });
		const { texts } = await listener.after(1, () => cut.tcp.write(compressedFrame(whole.subarray(0, 3))));
		expect(texts[0]!.length, "characters of a message of 800 that was cut off").toBeLessThan(8);
		await waitFor(() => broken.code !== 0, { deadlineMs: 5000, what: "the end of a client that sent damaged data" });
		expect(broken.code).toBe(1006);
		expect((await listener.after(1, () => publish("after it"))).texts).toEqual(["after it"]);
	});
});

describe("without it, as by default", () => {
	beforeAll(() => start(false));
	afterAll(() => shards.stop());

	it("negotiates it with nobody, and serves clients that offer it", async () => {
		for (const path of ["/", "/connection/websocket"]) expect((await connect(path, true)).socket.extensions).toBe("");
		const client = await connect("/", true);
		const text = "a".repeat(5000);
		expect(await client.after(1, () => publish(text))).toMatchObject({ texts: [text], wireBytes: text.length + 4 });
	});
});

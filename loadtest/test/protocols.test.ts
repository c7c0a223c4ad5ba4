import { jsonCodec, protobufCodec } from "@shardcast/protocol";
import { describe, expect, it } from "vitest";
import { CentrifugeJson } from "../src/protocols/centrifuge-json.ts";
import { CentrifugeProtobuf } from "../src/protocols/centrifuge-protobuf.ts";
import type { ClientProtocol, ServerEvents } from "../src/protocols/client-protocol.ts";
import { textPayload } from "../src/protocols/text-payload.ts";

/** What a protocol finds in a frame that lies in the middle of a larger buffer. */
function events(protocol: ClientProtocol, frame: Uint8Array, channel = 7): string[] {
	const found: string[] = [];
	const around = Buffer.concat([Buffer.from('"}}}\n'), frame, Buffer.from('\n"}}}')]);
	const recorder: ServerEvents = {
		publication: (start, end) => found.push(around.toString("utf8", start, end)),
		subscribed: () => found.push("subscribed"),
		refused: (reason) => found.push(`refused: ${reason}`),
		ping: () => found.push("ping"),
		garbage: () => found.push("garbage"),
	};
	protocol.read(around, 5, 5 + frame.length, channel, recorder);
	return found;
}

const payload = textPayload.write(128, 5, 9, 123_456_789.125);
const text = payload.toString();
const info = { user: "u", client: "c", connInfo: Buffer.from('{"a":1}'), chanInfo: new Uint8Array(0) };

describe.each([
	["JSON", new CentrifugeJson(), jsonCodec],
	["Protobuf", new CentrifugeProtobuf(), protobufCodec],
] as const)("%s of the load test", (_name, protocol, codec) => {
	const push = (pub: Parameters<typeof encoder.encode>[0], channel = "load.7") => codec.publications(channel).encode(pub);
	const encoder = codec.publications("load.7");

	it("finds publications, whatever else they carry, and several messages in one frame", () => {
		const tags = new Map([["a", "}}}"]]);
		const messages = [push({ data: payload }), push({ data: payload, offset: 12 }), push({ data: payload, offset: 300, info, tags })];
		for (const message of messages) expect(events(protocol, codec.webSocketFrame([message]))).toEqual([text]);
		expect(events(protocol, codec.webSocketFrame([codec.ping, ...messages, codec.ping]))).toEqual(["ping", text, text, text, "ping"]);
	});

	it("tells replies and errors", () => {
		const frame = codec.webSocketFrame([
			codec.encodeReply({ id: 1, connect: { client: "x", version: "", ping: 25, pong: true } as never }),
			codec.encodeReply({ id: 2, subscribe: { recoverable: true, epoch: "e", offset: 3 } as never }),
			codec.encodeReply({ id: 3, publish: {} }),
			codec.encodeReply({ id: 4, error: { code: 103, message: "permission denied" } }),
		]);
		expect(events(protocol, frame)).toEqual(["subscribed", "refused: 103 permission denied"]);
	});

	it("takes publications of another channel, other pushes and broken frames for garbage", () => {
		expect(events(protocol, push({ data: payload }, "load.70"))).toEqual(["garbage"]);
		expect(events(protocol, push({ data: payload }, "load"))).toEqual(["garbage"]);
		const unsubscribe = codec.encodeReply({ push: { channel: "load.7", unsubscribe: { code: 2500, reason: "insufficient state" } } });
		expect(events(protocol, unsubscribe)).toEqual(["garbage"]);
		const whole = push({ data: payload });
		for (let end = 1; end < whole.length; end++) {
			const found = events(protocol, whole.subarray(0, end));
			expect(found, `cut at ${end}`).toEqual(["garbage"]);
		}
	});

	it("writes commands that the server reads as they are meant", () => {
		const { commands, error } = codec.decodeCommands(protocol.hello(7)!);
		expect(error).toBeNull();
		expect(commands).toMatchObject([
			{ id: 1, method: "connect" },
			{ id: 2, method: "subscribe", request: { channel: "load.7" } },
		]);
		const published = codec.decodeCommands(protocol.publish(7, payload));
		expect(published).toMatchObject({ error: null, commands: [{ method: "publish", request: { channel: "load.7" } }] });
		expect(Buffer.from((published.commands[0] as { request: { data: Uint8Array } }).request.data).equals(payload)).toBe(true);
		expect(codec.decodeCommands(protocol.pong!)).toEqual({ commands: [{ id: 0, method: "pong" }], error: null });
	});
});

describe("text payload", () => {
	it.each([textPayload.bytesMin, 128, 60_000])("of %d bytes carries sender, number and time, as JSON", (bytes) => {
		const message = textPayload.write(bytes, 4_000_000_000, 7, 123_456_789.125);
		expect(message).toHaveLength(bytes);
		expect(JSON.parse(message.toString())).toHaveLength(bytes - 2);
		expect(textPayload.isPayload(message, 0, bytes)).toBe(true);
		expect([textPayload.senderOf(message, 0), textPayload.numberOf(message, 0), textPayload.sentMsOf(message, 0)]).toEqual([
			4_000_000_000, 7, 123_456_789.125,
		]);
	});

	it("is not taken for whole when a part is damaged or of another message", () => {
		expect(textPayload.isPayload(payload, 0, 127)).toBe(false);
		expect(textPayload.isPayload(Buffer.from(JSON.stringify("x".repeat(126))), 0, 128)).toBe(false);
		for (const at of [0, 1, 5, 13, 21, 119, 126, 127]) {
			const damaged = Buffer.from(payload);
			damaged[at] ^= 2;
			expect(textPayload.isPayload(damaged, 0, 128), `byte ${at}`).toBe(false);
		}
	});
});

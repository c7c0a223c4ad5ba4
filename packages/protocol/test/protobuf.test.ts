import { stressed } from "@shardcast/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ProtocolError, protobufCodec } from "../src/index.ts";
import { type Command, commandMessage, commandOf } from "../src/messages/command.ts";
import { emulationRequest } from "../src/messages/emulation-request.ts";
import { push } from "../src/messages/push.ts";
import { reply } from "../src/messages/reply.ts";
import { connectRequest } from "../src/messages/requests.ts";
import { encodeProtobufMessage } from "../src/protobuf/protobuf-encoder.ts";
import { decodeProtobufMessage, ProtobufDecoder } from "../src/protobuf/protobuf-message.ts";
import type { MessageType } from "../src/schema/message-type.ts";
import { fullMessage, messageOf } from "./arbitrary-message.ts";
import { damage, seconds } from "./fuzz.ts";
import { fromReference, referenceCodec, toReference } from "./reference-codec.ts";

const erased = (type: unknown): MessageType<object> => type as MessageType<object>;
const decoded = (type: unknown, frame: Uint8Array): object => new ProtobufDecoder(frame).delimited(erased(type));
const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));
/** Without what only `__proto__` as a key of an object could lose on the other side. */
const lossless = (message: object): boolean =>
	!JSON.stringify(message, (_, value) => (value instanceof Map ? [...value] : value)).includes("__proto__");

describe("our Protobuf and that of npm centrifuge agree", () => {
	it.each([
		["Command", commandMessage],
		["Reply", reply],
	] as const)("on every field of every message in a %s", { tags: ["long"] }, (name, type) => {
		const theirs = name === "Command" ? referenceCodec.encodeCommands : referenceCodec.encodeReplies;
		const read = name === "Command" ? referenceCodec.decodeCommands : referenceCodec.decodeReplies;
		const agree = (message: object): void => {
			const ours = encodeProtobufMessage(erased(type), message);
			expect(fromReference(erased(type), read(ours)[0]), "ours, read by theirs").toEqual(message);
			expect(decoded(type, theirs([toReference(erased(type), message)])), "theirs, read by ours").toEqual(message);
		};
		agree(fullMessage(erased(type)));
		fc.assert(fc.property(messageOf(erased(type)).filter(lossless), agree), { numRuns: stressed(15) });
	});

	it("on bare requests", () => {
		fc.assert(
			fc.property(messageOf(emulationRequest), messageOf(connectRequest).filter(lossless), (emulation, connect) => {
				expect(
					protobufCodec.decodeEmulation(referenceCodec.encodeEmulationRequest(toReference(erased(emulationRequest), emulation))),
				).toEqual(emulation);
				const command = referenceCodec.encodeCommands([{ connect: toReference(erased(connectRequest), connect) }]);
				expect(protobufCodec.decodeConnect(bodyOf(bodyOf(command).subarray(1)))).toEqual(connect);
			}),
			{ numRuns: stressed(20) },
		);
	});

	it("on bare pushes", { tags: ["long"] }, () => {
		fc.assert(
			fc.property(messageOf(push).filter(lossless), (message) => {
				const bare = protobufCodec.encodePush(message);
				expect(bodyOf(protobufCodec.encodeReply({ push: message })).subarray(1)).toEqual(bare);
				expect(decodeProtobufMessage(push, bodyOf(bare))).toEqual(message);
			}),
			{ numRuns: stressed(20) },
		);
	});
});

/** What follows a length, which must be the rest. */
function bodyOf(delimited: Uint8Array): Uint8Array {
	const start = delimited.findIndex((byte) => byte < 0x80) + 1;
	return delimited.subarray(start);
}

describe("a Protobuf frame", () => {
	const methods = (frame: Uint8Array) => protobufCodec.decodeCommands(frame).commands.map(({ method }) => method);

	it("contains commands one after the other; 0x00 is a pong, and our ping", () => {
		const frame = referenceCodec.encodeCommands([
			{ id: 1, connect: {} },
			{},
			{ id: 2, subscribe: { channel: "c" } },
			{ send: {} },
			{ id: 3 },
		]);
		expect(methods(frame)).toEqual(["connect", "pong", "subscribe", "send", "unknown"]);
		expect(methods(hex("00"))).toEqual(["pong"]);
		expect(protobufCodec.ping).toEqual(hex("00"));
		const both = protobufCodec.webSocketFrame([protobufCodec.encodeReply({ id: 1 }), protobufCodec.ping]);
		expect(both).toEqual(hex("02 08 01 00"));
		expect(referenceCodec.decodeReplies(both)).toHaveLength(2);
	});

	it("gives payloads as views of the frame", () => {
		const frame = referenceCodec.encodeCommands([{ id: 1, publish: { channel: "c", data: hex("00 ff 0a") } }]);
		const { request } = protobufCodec.decodeCommands(frame).commands[0] as Extract<Command, { method: "publish" }>;
		expect(new Uint8Array(request.data)).toEqual(hex("00 ff 0a"));
		expect(request.data.buffer).toBe(frame.buffer);
	});

	it("may contain unknown fields of any type, and repeated fields", () => {
		// 100 as varint, 101 as 64 bits, 102 as bytes, 103 as 32 bits, 104 as a group; id 1, then id 2.
		const fields = "a006 01 a906 0102030405060708 b206 02 6162 bd06 01020304 c306 08 01 c406 08 01 08 02";
		expect(decodeProtobufMessage(commandMessage, hex(fields)).id).toBe(2);
		expect(commandOf(decodeProtobufMessage(commandMessage, hex(`${fields} 3200`))).method).toBe("unsubscribe");
	});

	it.each([
		["", "not Protobuf: premature EOF"],
		["80", "not Protobuf: premature EOF"],
		["05 08 01", "not Protobuf: a length is longer than what is left"],
		["02 08 80 01", "not Protobuf: a field is longer than its message"],
		["04 32 03 0a 01", "not Protobuf: a length is longer than what is left"],
		["05 32 03 0a 05 61", "not Protobuf: premature EOF"],
		["06 08 ff ff ff ff 1f", "id must be an integer of 0 to 4294967295"],
		["02 0a 00", "not Protobuf: id has wire type 2"],
		["02 20 01", "not Protobuf: connect has wire type 0"],
		["05 32 03 0a 01 ff", "not Protobuf: The encoded data was not valid for encoding utf-8"],
		["02 0c 00", "not Protobuf: id has wire type 4"],
		["02 00 00", "not Protobuf: illegal tag: field no 0 wire type 0"],
	])("%s is refused: %s", (frame, message) => {
		const { commands, error } = protobufCodec.decodeCommands(hex(frame));
		expect(commands).toEqual([]);
		expect(error).toBeInstanceOf(ProtocolError);
		expect(error!.message).toBe(message);
	});

	it("keeps the commands before an error", () => {
		const { commands, error } = protobufCodec.decodeCommands(hex("04 08 01 2200 05"));
		expect(commands.map(({ id, method }) => [id, method])).toEqual([[1, "connect"]]);
		expect(error).toBeInstanceOf(ProtocolError);
	});

	it("is not affected by one before it that could not be encoded", () => {
		expect(() => protobufCodec.encodeReply({ id: 1, connect: { ttl: -1.5 } })).toThrow();
		expect(protobufCodec.encodeReply({ id: 1 })).toEqual(hex("02 08 01"));
		const large = new Uint8Array(3_000_000).fill(7);
		expect(protobufCodec.encodeReply({ rpc: { data: large } })).toHaveLength(3_000_000 + 14);
		expect(protobufCodec.encodeReply({ id: 1 })).toEqual(hex("02 08 01"));
	});
});

describe("damaged Protobuf frames", () => {
	const frames = [
		[
			{ id: 1, connect: { token: "t", data: hex("7b7d"), subs: { news: { recover: true, offset: 5, epoch: "x7" } }, headers: { a: "b" } } },
			{ id: 2, subscribe: { channel: "chat:42", tf: { op: "and", nodes: [{ key: "k", vals: ["x"] }] }, flag: 1 } },
		],
		[{ id: 8, history: { channel: "c", limit: -1, since: { offset: 3, epoch: "x7" } } }, { send: { data: hex("00") } }, {}],
	].map((commands) => new Uint8Array(referenceCodec.encodeCommands(commands)));

	it("are decoded or refused: no other error is thrown, and nothing beyond the frame is read", () => {
		fc.assert(
			fc.property(damage(frames), (frame) => {
				const memory = new Uint8Array(Buffer.concat([frame, Buffer.alloc(300, 1)]));
				const within = protobufCodec.decodeCommands(memory.subarray(0, frame.length));
				const alone = protobufCodec.decodeCommands(frame);
				expect(within.commands).toEqual(alone.commands);
				expect(within.error?.message).toBe(alone.error?.message);
			}),
			{ numRuns: stressed(300) },
		);
	});

	const size = 65_536;
	const many = (unit: string) => hex(unit.repeat(size / hex(unit).length));
	const wrapped = (prefix: string, unit: string) => {
		const body = Buffer.concat([hex(prefix), many(unit)]);
		const length = Buffer.from([(body.length & 0x7f) | 0x80, ((body.length >> 7) & 0x7f) | 0x80, body.length >> 14]);
		return new Uint8Array(Buffer.concat([length, body]));
	};
	let filters = Buffer.alloc(0);
	for (let depth = 0; depth < 10_000; depth++) {
		const { length } = filters;
		const prefix =
			length < 128
				? [length]
				: length < 16_384
					? [(length & 0x7f) | 0x80, length >> 7]
					: [(length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14];
		filters = Buffer.concat([Buffer.from([0x32, ...prefix]), filters]);
	}
	it.each([
		["pongs", many("00")],
		["endless varints", many("ff")],
		["open groups", wrapped("", "c306")],
		["unknown fields", wrapped("", "a00601")],
		["one message many times", wrapped("", "2200")],
		["one integer many times", wrapped("", "08ffffffff0f")],
		["nested filters", filters],
	])("%s: 64 KiB take milliseconds", { tags: ["long"] }, (_, frame) => {
		protobufCodec.decodeCommands(frame);
		expect(seconds(() => protobufCodec.decodeCommands(frame))).toBeLessThan(1);
	});
});

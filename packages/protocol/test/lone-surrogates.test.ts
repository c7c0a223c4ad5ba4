import { describe, expect, it } from "vitest";
import { jsonCodec, protobufCodec, quoteJson } from "../src/index.ts";

/** Halves of surrogate pairs that stand alone, as JSON escapes. */
const alone = ["\\ud800", "\\udfff", "a\\ud83db", "\\ude00\\ud83d", "\\ud800\\ud800\\udc00"];

const commands = (text: string) => jsonCodec.decodeCommands(Buffer.from(text));

describe("lone surrogates, which JSON can escape and UTF-8 cannot hold", () => {
	it.each(alone)("%s in a channel's name is read as U+FFFD, and the reply that names it is UTF-8 in both encodings", (escaped) => {
		const { commands: read } = commands(`{"id":1,"subscribe":{"channel":"${escaped}"}}`);
		const { channel } = (read[0] as unknown as { request: { channel: string } }).request;
		expect(channel).toBe((JSON.parse(`"${escaped}"`) as string).toWellFormed());
		expect(channel).toContain("\ufffd");
		for (const codec of [jsonCodec, protobufCodec]) {
			const push = codec.encodeReply({ push: { channel, join: { info: { client: channel, user: channel } } } });
			expect(Buffer.from(push).includes(Buffer.from(channel))).toBe(true);
		}
	});

	it.each(alone)("%s in data passes through unchanged, also in a publication and as a string for deltas", (escaped) => {
		const data = `{"text":"${escaped}"}`;
		const { commands: read } = commands(`{"id":1,"publish":{"channel":"c","data":${data}}}`);
		const payload = (read[0] as unknown as { request: { data: Uint8Array } }).request.data;
		expect(Buffer.from(payload).toString()).toBe(data);
		const encoded = Buffer.from(jsonCodec.publications("c").encode({ data: payload, offset: 1 })).toString();
		expect(encoded).toBe(`{"push":{"channel":"c","pub":{"data":${data},"offset":1}}}`);
		expect(JSON.parse(Buffer.from(quoteJson(payload)).toString())).toBe(data);
	});

	it("as raw bytes, which UTF-8 does not allow, are a bad request", () => {
		const frame = Buffer.concat([Buffer.from('{"id":1,"subscribe":{"channel":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}}')]);
		const { commands: read, error } = jsonCodec.decodeCommands(frame);
		expect(read).toEqual([]);
		expect(error).not.toBeNull();
	});

	it("in the server's own texts are escaped", () => {
		const reply = Buffer.from(jsonCodec.encodeReply({ id: 1, error: { code: 100, message: "\ud800" } })).toString();
		expect(reply).toBe('{"id":1,"error":{"code":100,"message":"\\ud800"}}');
		expect(Buffer.from(protobufCodec.encodeReply({ id: 1, error: { code: 100, message: "\ud800" } })).includes(Buffer.from("\ufffd"))).toBe(
			true,
		);
	});
});

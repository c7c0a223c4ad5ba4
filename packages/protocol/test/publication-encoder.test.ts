import { stressed } from "@shardcast/testkit";
import { arbitraryText } from "@shardcast/testkit/arbitraries";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jsonCodec, type Publication, protobufCodec } from "../src/index.ts";
import { publication } from "../src/messages/publication.ts";
import { messageOf } from "./arbitrary-message.ts";

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const data = Buffer.from('{"a":\n1}');

describe.each([jsonCodec, protobufCodec])("the encoder of one channel's publications ($name)", (codec) => {
	/** The same JSON but for the order of members, or the same Protobuf. */
	const same = (ours: Uint8Array, general: Uint8Array): void => {
		if (codec.binary) expect(Buffer.from(ours).toString("hex")).toBe(Buffer.from(general).toString("hex"));
		else {
			expect(JSON.parse(text(ours))).toEqual(JSON.parse(text(general)));
			expect(ours).toHaveLength(general.length);
		}
	};
	const check = (channel: string, pub: Publication): void => {
		const encoder = codec.publications(channel);
		same(encoder.encode(pub), codec.encodeReply({ push: { channel, pub } }));
		same(encoder.encodeBare(pub), codec.encodePush({ channel, pub }));
	};

	it.each<[string, Publication]>([
		["data", { data }],
		["data and offset", { data, offset: 15 }],
		["the largest offset", { data, offset: Number.MAX_SAFE_INTEGER }],
		["an offset of two bytes", { data, offset: 128 }],
		[
			"everything",
			{ data, offset: 16_384, info: { user: "u", client: "c" }, tags: new Map([["k", "é"]]), delta: true, time: 5, channel: "x.é" },
		],
		["tags only", { data, tags: new Map([["k", "v"]]) }],
		["no tags", { data, tags: new Map() }],
		["no data", { data: new Uint8Array(0), offset: 3 }],
		["127 bytes", { data: Buffer.from("1".repeat(127)), offset: 1 }],
		["20,000 bytes", { data: Buffer.from("1".repeat(20_000)), offset: 1 }],
	])("writes what the general encoder writes: %s", (_, pub) => {
		for (const channel of ["chat:42", 'quote" and é', "", "n".repeat(255)]) check(channel, pub);
	});

	it("writes what the general encoder writes, for any publication", () => {
		fc.assert(fc.property(arbitraryText(), messageOf(publication), check), { numRuns: stressed(50) });
	});

	it("gives every message its own bytes, which later messages do not change", () => {
		const encoder = codec.publications("c");
		const first = encoder.encode({ data, offset: 1 });
		const before = text(first);
		encoder.encode({ data, offset: 2, delta: true });
		encoder.encodeBare({ data, offset: 3 });
		expect(text(first)).toBe(before);
	});
});

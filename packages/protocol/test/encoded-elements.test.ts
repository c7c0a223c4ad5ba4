import { describe, expect, it } from "vitest";
import { EncodedPublications, jsonCodec, type Publication, protobufCodec } from "../src/index.ts";

describe("already encoded publications", () => {
	it.each([jsonCodec, protobufCodec])("give the same subscribe reply as others, at any position: $name", (codec) => {
		const all: Publication[] = Array.from({ length: 6 }, (_, n) => ({ data: Buffer.from(`{"n":${n}}`), offset: n * 300 }));
		const reply = (publications: readonly Publication[]) =>
			codec.encodeReply({ id: 2, subscribe: { recovered: true, offset: 7, epoch: "e", publications } });
		const block = (list: readonly Publication[]) => {
			const elements = list.map((each) => codec.listedPublication(each));
			const bytes = codec.binary ? Buffer.concat(elements) : Buffer.from(elements.map((each) => Buffer.from(each).toString()).join());
			return new EncodedPublications(bytes, list.length);
		};
		const whole = Buffer.from(reply(all)).toString("latin1");
		for (const publications of [
			[block(all)],
			[block(all.slice(0, 4)), ...all.slice(4)],
			[...all.slice(0, 2), block(all.slice(2))],
			[block(all.slice(0, 1)), block(all.slice(1))],
		])
			expect(Buffer.from(reply(publications)).toString("latin1")).toBe(whole);
	});
});

describe("a large message", () => {
	it("lends its memory to the next one if it was released, and is not touched otherwise", { tags: ["long"] }, () => {
		const encode = (letter: string) => jsonCodec.encodeReply({ id: 2, rpc: { data: Buffer.from(`"${letter.repeat(1_500_000)}"`) } });
		const letters = (message: Uint8Array) => new Set(Buffer.from(message.subarray(50, 1_400_000)).toString());
		const [kept, given] = [encode("a"), encode("b")];
		jsonCodec.release(kept);
		jsonCodec.release(given);
		const next = encode("c");
		expect(next.buffer).toBe(given.buffer);
		expect(letters(next)).toEqual(new Set("c"));
		expect(letters(kept)).toEqual(new Set("a"));
	});
});

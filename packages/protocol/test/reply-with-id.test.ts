import fc from "fast-check";
import { expect, it } from "vitest";
import { jsonCodec, protobufCodec } from "../src/codec.ts";

it("adding an id to an encoded reply gives the same bytes as encoding it with the id", () => {
	const user = fc.string({ maxLength: 300 });
	fc.assert(
		fc.property(fc.integer({ min: 1, max: 2 ** 32 - 1 }), fc.array(user, { maxLength: 5 }), (id, users) => {
			const presence = { presence: new Map(users.map((each, index) => [`c${index}`, { client: `c${index}`, user: each }])) };
			for (const codec of [jsonCodec, protobufCodec]) {
				const expected = codec.encodeReply({ id, presence });
				expect(Buffer.compare(codec.replyWithId(id, codec.encodeReply({ presence })), expected)).toBe(0);
			}
		}),
	);
});

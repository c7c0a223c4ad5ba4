import { arbitraryText } from "@shardcast/testkit/arbitraries";
import fc from "fast-check";
import { expect, it } from "vitest";
import { decodePublisherInfo, encodePublisherInfo } from "../src/record/publisher-info.ts";

it("publisher info survives a round trip at any offset", () => {
	const text = arbitraryText({ maxLength: 50 });
	const bytes = fc.uint8Array({ maxLength: 50 });
	fc.assert(
		fc.property(text, text, bytes, bytes, fc.nat(5), (user, client, connInfo, chanInfo, before) => {
			const info = encodePublisherInfo({
				user,
				client,
				...(connInfo.length > 0 && { connInfo }),
				...(chanInfo.length > 0 && { chanInfo }),
			});
			const place = new Uint8Array(before + info.length);
			place.set(info, before);
			const decoded = decodePublisherInfo(place.subarray(before));
			expect(decoded).toMatchObject({ user, client });
			expect([...(decoded.connInfo ?? [])]).toEqual([...connInfo]);
			expect([...(decoded.chanInfo ?? [])]).toEqual([...chanInfo]);
		}),
	);
});

it("truncated publisher info is refused", () => {
	const info = encodePublisherInfo({ user: "ann", client: "c-1" });
	for (let length = 0; length < info.length; length++) expect(() => decodePublisherInfo(info.subarray(0, length))).toThrow(RangeError);
});

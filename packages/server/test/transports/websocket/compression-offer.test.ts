import { expect, it } from "vitest";
import { compressionOffer } from "../../../src/transports/websocket/compression-offer.ts";
import { offeredCompression, upgradeHead } from "../../../src/transports/websocket/sockets-heads.ts";

it.each([
	"permessage-deflate",
	"permessage-deflate; client_max_window_bits",
	'permessage-deflate;client_max_window_bits="10" ; server_no_context_takeover',
	"permessage-deflate; client_no_context_takeover; server_max_window_bits=15",
	"permessage-deflate; server_max_window_bits=10, permessage-deflate",
	"foo; bar=1, permessage-deflate",
])("accepts a supported offer: %s", (extensions) => {
	expect(compressionOffer(extensions)).toBe("permessage-deflate");
});

it.each([
	"",
	"permessage-deflate; server_max_window_bits=8",
	'permessage-deflate; server_max_window_bits="10"',
	"permessage-deflate; server_max_window_bits",
	"permessage-deflate; client_max_window_bits=16",
	"permessage-deflate; server_no_context_takeover=1",
	"permessage-deflate; client_no_context_takeover; client_no_context_takeover",
	"permessage-deflate; nonsense",
	"permessage-deflate;",
	"permessage-deflate-x",
	"x-webkit-deflate-frame",
])("declines an unsupported or unknown offer: %s", (extensions) => {
	expect(compressionOffer(extensions)).toBe("");
});

it("reads all lines of the headers that may have several", () => {
	const lines = [
		["sec-websocket-extensions", "foo"],
		["sec-websocket-protocol", "other"],
		["sec-websocket-extensions", "permessage-deflate"],
		["sec-websocket-protocol", "centrifuge-protobuf"],
	] as const;
	const request = {
		getQuery: () => undefined,
		getHeader: (name: string) => lines.find(([key]) => key === name)?.[1] ?? "",
		forEach: (visit: (key: string, value: string) => void) => {
			for (const [key, value] of lines) visit(key, value);
		},
	} as never;
	expect(offeredCompression(request)).toBe("permessage-deflate");
	expect(upgradeHead(request).subprotocols).toBe("other, centrifuge-protobuf");
});

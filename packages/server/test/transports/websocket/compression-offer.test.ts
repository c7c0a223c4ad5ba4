import { expect, it } from "vitest";
import { compressionOffer } from "../../../src/transports/websocket/compression-offer.ts";

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

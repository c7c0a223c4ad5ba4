import { Opcode } from "@shardcast/testkit";
import { channelName } from "../audience.ts";
import { pathWithChannel } from "../target.ts";
import { binaryPayload } from "./binary-payload.ts";
import type { ClientProtocol } from "./client-protocol.ts";

/** Each frame is a message. */
export const rawProtocol: ClientProtocol = {
	payload: binaryPayload,
	opcode: Opcode.binary,
	path: (path, channel) => (channel < 0 ? path : pathWithChannel(path, channelName(channel))),
	headers: {},
	hello: () => null,
	publish: (_channel, payload) => payload,
	pong: null,
	read: (_bytes, start, end, _channel, events) => events.publication(start, end),
};

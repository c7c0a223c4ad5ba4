import { isUtf8 } from "node:buffer";
import { jsonText } from "@shardcast/wire";
import { type EmulationRequest, emulationRequest } from "../messages/emulation-request.ts";
import { type ConnectRequest, connectRequest } from "../messages/requests.ts";
import { ProtocolError } from "../protocol-error.ts";
import type { MessageType } from "../schema/message-type.ts";
import { decodeJsonMessage } from "./json-message.ts";

/**
 * The bare connect request of a unidirectional client.
 * @throws ProtocolError
 */
export function decodeJsonConnect(body: Uint8Array): ConnectRequest {
	return decode(connectRequest, body);
}

/**
 * The body of `POST /emulation`, whose `data` is a string that holds the commands. The result's `data` is that text.
 * @throws ProtocolError
 */
export function decodeJsonEmulation(body: Uint8Array): EmulationRequest {
	const request = decode(emulationRequest, body);
	const { data } = request;
	if (data[0] !== quote) throw new ProtocolError("data must be a string");
	return { ...request, data: Buffer.from(jsonText(data, { start: 0, end: data.length })) };
}

function decode<T extends object>(type: MessageType<T>, body: Uint8Array): T {
	if (!isUtf8(body)) throw new ProtocolError("not UTF-8");
	return decodeJsonMessage(type, body);
}

const quote = 0x22;

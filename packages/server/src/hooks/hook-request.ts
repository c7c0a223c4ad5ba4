import { isUtf8 } from "node:buffer";
import { isJson } from "@shardcast/wire";
import type { HookName } from "./hook-results.ts";

/** The client that a request is about. */
export interface HookClient {
	/** The client's id. */
	readonly client: string;
	/** Such as `websocket`, `sse`, `uni_http_stream`. */
	readonly transport: string;
	readonly protocol: "json" | "protobuf";
	/** "" = anonymous, or not known yet. */
	readonly user: string;
	/** JSON from the token or the connect hook; null = none, or backends do not get it. */
	readonly meta: Uint8Array | null;
}

/** Fields of the client's command; "" and an empty list are left out, as clients leave them out. */
export interface HookFields {
	readonly name?: string;
	readonly version?: string;
	readonly channels?: readonly string[];
	readonly channel?: string;
	readonly token?: string;
	readonly method?: string;
	/** Any bytes. */
	readonly data?: Uint8Array;
}

/**
 * The body of a request to a backend. Null = the data is not JSON, so that it can only be sent to a backend that takes Base64. A client of the
 * Protobuf protocol may send any bytes; written into the body, they could add fields to it.
 * @param isBinary the backend takes `b64data` instead of `data`.
 */
export function hookRequest(hook: HookName, client: HookClient, fields: HookFields, isBinary: boolean): Buffer | null {
	const { data, channels = [], ...texts } = fields;
	const head: Record<string, unknown> = {
		client: client.client,
		transport: client.transport,
		protocol: client.protocol,
		encoding: isBinary ? "binary" : "json",
	};
	if (hook !== "connect") head.user = client.user;
	for (const [name, text] of Object.entries(texts)) if (text !== "") head[name] = text;
	if (channels.length > 0) head.channels = channels;
	const hasData = data !== undefined && data.length > 0;
	if (hasData && !isBinary && !(isUtf8(data) && isJson(data))) return null;
	if (hasData && isBinary) head.b64data = bufferOf(data).toString("base64");
	const parts: Uint8Array[] = [Buffer.from(JSON.stringify(head).slice(0, -1))];
	// Copied as they are: they are JSON already, and parsing would change long numbers.
	if (hasData && !isBinary) parts.push(Buffer.from(',"data":'), bufferOf(data));
	if (client.meta !== null) parts.push(Buffer.from(',"meta":'), bufferOf(client.meta));
	return Buffer.concat([...parts, Buffer.from("}")]);
}

function bufferOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
	return Buffer.from(buffer, byteOffset, length);
}

import { isUtf8 } from "node:buffer";
import { RecordKind } from "../record/record-descriptor.ts";
import { isJson } from "./json-reader.ts";

/**
 * Converts a payload to JSON: valid JSON stays as it is, other text becomes a string, and binary data becomes a Base64 string. Reads each
 * byte once.
 */
export function asJson(payload: Uint8Array, kind: RecordKind): Uint8Array {
	if (kind === RecordKind.text || isUtf8(payload))
		return isJson(payload) ? payload : Buffer.from(JSON.stringify(viewOf(payload).toString()));
	return Buffer.from(`"${viewOf(payload).toString("base64")}"`);
}

function viewOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
	return Buffer.from(buffer, byteOffset, length);
}

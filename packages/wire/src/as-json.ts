import { isUtf8 } from "node:buffer";
import { isJson } from "./json-reader.ts";
import { RecordKind } from "./record-descriptor.ts";

/**
 * A payload as JSON: as it is when that is what it is, another text as a string, other bytes as a string in Base64. Costs one look at each
 * byte.
 */
export function asJson(payload: Uint8Array, kind: RecordKind): Uint8Array {
	if (kind === RecordKind.text || isUtf8(payload))
		return isJson(payload) ? payload : Buffer.from(JSON.stringify(viewOf(payload).toString()));
	return Buffer.from(`"${viewOf(payload).toString("base64")}"`);
}

function viewOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
	return Buffer.from(buffer, byteOffset, length);
}

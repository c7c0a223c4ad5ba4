import { isUtf8 } from "node:buffer";
import { JsonReader, JsonSyntaxError, jsonText } from "@shardcast/wire";

/**
 * The members of a JSON object, each as it is written: numbers of any length and texts stay as they are. The last of several with the same name
 * counts. Null = it is not JSON, or no object. Costs one look at each byte; the values are views.
 */
export function jsonMembers(bytes: Uint8Array): ReadonlyMap<string, Uint8Array> | null {
	if (!isUtf8(bytes)) return null;
	try {
		const reader = new JsonReader(bytes);
		if (!reader.enterObject()) return null;
		const members = new Map<string, Uint8Array>();
		for (let key = reader.member(true); key !== null; key = reader.member(false)) {
			const { start, end } = reader.skip();
			members.set(jsonText(bytes, key), bytes.subarray(start, end));
		}
		reader.end();
		return members;
	} catch (error) {
		if (error instanceof JsonSyntaxError) return null;
		throw error;
	}
}

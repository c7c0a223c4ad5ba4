import { JsonReader, jsonText } from "@shardcast/wire";

/**
 * One member of a JSON object, as it is written: numbers of any length and texts stay as they are. The last of several with the same name counts;
 * null = there is none. Costs one look at each byte; the value is a view. Only for what is passed on as it is: `JSON.parse` reads the rest faster.
 * @param bytes an object that `JSON.parse` has read.
 */
export function writtenMember(bytes: Uint8Array, name: string): Uint8Array | null {
	const reader = new JsonReader(bytes);
	reader.enterObject();
	let found: Uint8Array | null = null;
	for (let key = reader.member(true); key !== null; key = reader.member(false)) {
		const { start, end } = reader.skip();
		if (jsonText(bytes, key) === name) found = bytes.subarray(start, end);
	}
	return found;
}

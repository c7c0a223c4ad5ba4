/**
 * Converts UTF-8 text to a JSON string: the form of a publication's `data` for clients that have negotiated deltas. Bytes that are not valid
 * UTF-8 would be replaced, so the caller must check (a delta may split a character).
 */
export function quoteJson(text: Uint8Array): Uint8Array {
	return Buffer.from(JSON.stringify(Buffer.from(text.buffer, text.byteOffset, text.length).toString()));
}

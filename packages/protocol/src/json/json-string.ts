/**
 * Text, as UTF-8, as a JSON string: what a publication's `data` is for clients that have negotiated deltas. Bytes that are no UTF-8 would be
 * replaced: the caller checks (a delta may split a character).
 */
export function quoteJson(text: Uint8Array): Uint8Array {
	return Buffer.from(JSON.stringify(Buffer.from(text.buffer, text.byteOffset, text.length).toString()));
}

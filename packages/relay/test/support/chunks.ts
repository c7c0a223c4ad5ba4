import fc from "fast-check";

/** The bytes of a body that is nothing but chunks, without extensions and trailers. */
export function decodeChunks(text: string): string {
	let rest = text;
	let data = "";
	for (;;) {
		const [line] = /^[0-9a-f]+\r\n/.exec(rest) ?? [];
		if (line === undefined) throw new Error(`no chunk: ${JSON.stringify(rest.slice(0, 20))}`);
		const size = Number.parseInt(line, 16);
		if (size === 0) {
			if (rest !== "0\r\n\r\n") throw new Error(`something follows: ${JSON.stringify(rest)}`);
			return data;
		}
		data += rest.slice(line.length, line.length + size);
		if (rest.slice(line.length + size, line.length + size + 2) !== "\r\n") throw new Error("no end of a chunk");
		rest = rest.slice(line.length + size + 2);
	}
}

/** `text` in pieces that end at these places, which may be any numbers. */
export function splitAt(text: string, cuts: readonly number[]): string[] {
	const ends = [...cuts.map((cut) => cut % (text.length + 1)).sort((a, b) => a - b), text.length];
	return ends.map((end, index) => text.slice(index === 0 ? 0 : ends[index - 1], end));
}

/** Any bytes, one per character. */
export const anyBytes = (constraints: { readonly minLength?: number; readonly maxLength: number }) =>
	fc.uint8Array(constraints).map((bytes) => Buffer.from(bytes).toString("latin1"));

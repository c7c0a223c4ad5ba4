/**
 * A value as JSON, for the log and for people: without the characters that act on a terminal or a viewer, such as those of its orders (U+009B) and those that
 * reverse text (U+202E), which JSON leaves as they are. "…" for a value that is nested too deeply.
 */
export function plainJson(value: unknown): string {
	let json: string;
	try {
		json = JSON.stringify(value) ?? String(value);
	} catch (error) {
		// The stack is too small for it.
		if (error instanceof RangeError) return "…";
		throw error;
	}
	return json.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escaped);
}

/** Two escapes for a character outside the basic plane. */
function escaped(character: string): string {
	return [...Array(character.length).keys()].map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`).join("");
}

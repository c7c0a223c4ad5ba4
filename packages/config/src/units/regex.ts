/**
 * A regular expression as Centrifugo, which is written in Go, takes it. What JavaScript does not have, such as (?i), is refused.
 * @throws RangeError whose message completes the sentence `"<text>" …`.
 */
export function parseRegex(text: string): RegExp {
	try {
		return new RegExp(text.replaceAll("(?P<", "(?<").replace(escaped, escapeByCode), "u");
	} catch (error) {
		throw new RangeError(`is not a regular expression: ${(error as Error).message.replace(/^.*: /, "")}`);
	}
}

const escaped = /\\([\s\S])/g;

/** Go lets any punctuation be escaped, a JavaScript expression for Unicode only what has a meaning; by its code, either does. */
function escapeByCode(whole: string, character: string): string {
	return /[!-/:-@[-`{-~]/.test(character) ? `\\x${character.charCodeAt(0).toString(16)}` : whole;
}

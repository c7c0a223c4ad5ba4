/**
 * A password with a "/" or "?" that is not encoded ends up in the path or the parameters of a URL, where a message could quote it.
 * @throws RangeError with the rest of the sentence that begins with the option; it never quotes the text.
 */
export function checkLogin(text: string): void {
	if (/^[^@]*:\/\/[^@]*[/?].*@/.test(text))
		throw new RangeError("has a / or ? before its @; in a password, write %2F for a slash and %3F for a question mark");
}

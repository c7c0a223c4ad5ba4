/** What belongs to one connection, or says how long a body is and what it is: another request must not take it over. */
const ofOneConnection: ReadonlySet<string> = new Set([
	"connection",
	"content-length",
	"content-type",
	"expect",
	"host",
	"keep-alive",
	"proxy-connection",
	"te",
	"trailer",
	"transfer-encoding",
	"upgrade",
]);

/** The name of a header that requests to a backend may have, as it is. @throws RangeError */
export function parseHeaderName(text: string): string {
	if (!/^[-!#$%&'*+.^_`|~\w]{1,128}$/.test(text)) throw new RangeError("has something in it that is not the name of a header");
	if (ofOneConnection.has(text.toLowerCase()))
		throw new RangeError(`has ${text}, which belongs to one connection and cannot be forwarded; take it out`);
	return text;
}

/** @throws RangeError */
export function checkHeaderValue(text: string): void {
	if (!/^[\t\x20-\x7e\x80-\xff]{0,4096}$/.test(text))
		throw new RangeError("is not the value of a header, of one line and at most 4096 characters");
}

/** An address that requests are sent to, as it is; "" = none. @throws RangeError */
export function parseEndpoint(text: string): string {
	if (text === "") return text;
	if (/^grpcs?:/i.test(text)) throw new RangeError("is an address for gRPC; shardcast asks over HTTP: give one with http:// or https://");
	const url = URL.canParse(text) ? new URL(text) : null;
	if (url === null || !["http:", "https:"].includes(url.protocol))
		throw new RangeError("is not a URL that begins with https:// or http://");
	// It would appear in logs and metrics.
	if (url.username !== "" || url.password !== "")
		throw new RangeError("has a user or a password in it; send an Authorization header instead (http.static_headers)");
	return text;
}

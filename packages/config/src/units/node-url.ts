/**
 * The URL of a node for its clients, without a path: "wss://n1.example.com" or "ws://10.0.0.7:3005".
 * @returns it, without a slash at its end.
 * @throws RangeError whose message completes the sentence `"<text>" …`.
 */
export function parseNodeUrl(text: string): string {
	const url = URL.canParse(text) ? new URL(text) : null;
	if (url === null || !/^wss?:$/.test(url.protocol) || url.host === "")
		throw new RangeError("is not the URL of a WebSocket server; write wss://n1.example.com or ws://10.0.0.7:3005");
	if (
		url.username !== "" ||
		url.password !== "" ||
		url.pathname !== "/" ||
		url.search !== "" ||
		url.hash !== "" ||
		text.length > nodeUrlMax
	)
		throw new RangeError("has more than a host and a port; clients add the path themselves");
	return `${url.protocol}//${url.host}`;
}

const nodeUrlMax = 256;

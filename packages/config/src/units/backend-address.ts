import { isIPv6 } from "node:net";
import { hostPortText } from "../url-parts.ts";
import { parseAddress } from "./address.ts";

/**
 * "127.0.0.1:9001", "camera.example.com:9001" or "[::1]:9001": where a backend of the gateway listens.
 * @returns the same, in one spelling. @throws RangeError whose message completes the sentence `"<text>" …`.
 */
export function parseBackendAddress(item: string): string {
	const text = item.trim();
	if (text.includes("/")) throw new RangeError("is a URL or a path; backends speak TCP: write only host and port, such as 127.0.0.1:9001");
	if (/^:?\d*$/.test(text)) throw new RangeError("has no host of a backend; write 127.0.0.1:9001");
	if (!/:\d+$/.test(text)) throw new RangeError(`has no port of a backend; write ${/^[\w.-]+$/.test(text) ? text : "127.0.0.1"}:9001`);
	if (!/^(?:\[[^\]]*\]|[^:[\]\s]+):\d+$/.test(text))
		throw new RangeError("is not the address of a backend; write 127.0.0.1:9001 or [::1]:9001");
	const { host, port } = parseAddress(text, 9001);
	if (host === undefined || port === 0) throw new RangeError("has the port 0, where no backend can listen; write 127.0.0.1:9001");
	// Names and addresses have several spellings, by which one backend would be there twice.
	const isPlainIPv6 = isIPv6(host) && !host.includes("%");
	return hostPortText({ host: isPlainIPv6 ? new URL(`http://[${host}]`).hostname.slice(1, -1) : host.toLowerCase(), port });
}
